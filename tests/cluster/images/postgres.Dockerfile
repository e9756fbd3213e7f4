# Stands in for the image of PostgreSQL, which no test can fetch: the same environment, folder and init scripts.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql && rm -rf /var/lib/postgresql/*
COPY postgres-entrypoint.sh /
ENTRYPOINT ["sh", "/postgres-entrypoint.sh"]
