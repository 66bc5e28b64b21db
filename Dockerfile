# Airflow's processes with Trainyard in them. One image for all: what a container is, its command says.
#
#   docker build -t trainyard:0.1.0 .
#
# PIP_INDEX_URL and NPM_CONFIG_REGISTRY may be given as build arguments where packages come from a mirror.

FROM python:3.11.14-slim-bookworm AS packages
ARG PIP_INDEX_URL
COPY deploy/image/requirements.txt /tmp/requirements.txt
# Wheels alone, each with the hash that the lock knows: nothing is built, so nothing to build with is needed.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes \
        -r /tmp/requirements.txt \
    && /opt/venv/bin/pip uninstall --yes pip

# Script and style of the pages: files that the image's own server hands out, each with the hash that the lock knows.
FROM node:20.20.2-bookworm-slim AS pages
ARG NPM_CONFIG_REGISTRY
WORKDIR /pages
COPY include/trainyard/web/package.json include/trainyard/web/package-lock.json /pages/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11.14-slim-bookworm
# The first process of a container has to take in what others leave behind; Airflow's do not.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends dumb-init \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow --shell /usr/sbin/nologin airflow \
    && install -d -o 50000 -g 0 -m 775 /opt/airflow /opt/airflow/logs /var/lib/trainyard \
        /var/lib/trainyard/catalogue /var/lib/trainyard/workspace /var/lib/trainyard/objects
COPY --from=packages /opt/venv /opt/venv
COPY deploy/image/entrypoint /entrypoint
COPY config/ /opt/trainyard/config/
COPY dags/ /opt/trainyard/dags/
COPY plugins/ /opt/trainyard/plugins/
COPY schemas/ /opt/trainyard/schemas/
COPY include/ /opt/trainyard/include/
COPY --from=pages /pages/node_modules /opt/trainyard/include/trainyard/web/node_modules
RUN /opt/venv/bin/python -m compileall -q /opt/trainyard

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/trainyard/include:/opt/trainyard/config \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DUMB_INIT_SETSID=0 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/trainyard/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/trainyard/plugins \
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/opt/airflow/passwords.json \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=/opt/airflow/bundles \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST='[{"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}, {"name": "trainings", "classpath": "trainyard.airflow.bundle.TrainingBundle", "kwargs": {"catalogue": "/var/lib/trainyard/catalogue", "refresh_interval": 1}}]' \
    TRAINYARD_HOME=/opt/trainyard \
    TRAINYARD_CATALOGUE=/var/lib/trainyard/catalogue \
    TRAINYARD_WORKSPACE=/var/lib/trainyard/workspace

USER 50000:0
WORKDIR /opt/airflow
ENTRYPOINT ["dumb-init", "--", "/entrypoint"]
CMD ["airflow", "version"]
