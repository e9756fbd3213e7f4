# The MLflow server with its PostgreSQL driver, S3 client and passwords; from the root of the repository:
#
#   docker build -f docker/mlflow.Dockerfile --build-arg BASE_IMAGE=python:3.12-slim-bookworm@sha256:DIGEST -t afdcd-mlflow .
ARG BASE_IMAGE

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 UV_SYSTEM_CERTS=1
WORKDIR /build
COPY docker/build.lock docker/mlflow.lock docker/
RUN python3 -m venv tools \
    && tools/bin/pip install --require-hashes --only-binary :all: -r docker/build.lock \
    && python3 -m venv --without-pip /opt/venv \
    && tools/bin/uv pip install --python /opt/venv --compile-bytecode --require-hashes --only-binary :all: \
    -r docker/mlflow.lock

FROM ${BASE_IMAGE}
RUN groupadd --gid 1000 mlflow && useradd --uid 1000 --gid 1000 --create-home mlflow
COPY --from=build /opt/venv /opt/venv
COPY docker/mlflow-auth.ini /etc/mlflow/auth.ini
# The job runner of MLflow is 8 processes and 1.3 GB, for what nobody here uses.
ENV PATH=/opt/venv/bin:${PATH} HOME=/home/mlflow PYTHONUNBUFFERED=1 \
    MLFLOW_AUTH_CONFIG_PATH=/etc/mlflow/auth.ini MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /home/mlflow
USER 1000:1000
LABEL org.opencontainers.image.title="afdcd-mlflow" \
    org.opencontainers.image.description="MLflow server of afdcd: PostgreSQL, S3, basic auth" \
    org.opencontainers.image.licenses="Apache-2.0"
CMD ["mlflow", "server", "--help"]
