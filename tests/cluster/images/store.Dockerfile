# Stands in for SeaweedFS, which no test can fetch: a `weed` of the same options, served by moto.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install --yes --no-install-recommends wget
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir 'moto[s3,server]>=5.0'
COPY weed.py /usr/local/bin/weed
RUN chmod 755 /usr/local/bin/weed && mkdir --mode=777 /data
