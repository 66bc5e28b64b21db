"""Where a training's and a run's pages and results are, for Airflow's own pages and logs."""

from __future__ import annotations

from trainyard.domain.training import StoreRef

_SCHEMES = {"s3": "s3", "bluemix_objectstore": "swift"}


def service_address() -> str:
    """Return the address of Airflow's api-server as its settings have it, without a slash at its end; may be empty."""
    from airflow.configuration import conf

    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")


def training_page(training_id: str) -> str:
    return f"{service_address()}/trainyard/dags/{training_id}"


def run_page(model_id: str) -> str:
    return f"{service_address()}/trainyard/runs/{model_id}"


def results_place(ref: StoreRef, model_id: str) -> str:
    """Return bucket and prefix of a run's results, such as `s3://results/training-DOl4q2LkR/`."""
    return f"{_SCHEMES.get(ref.kind, ref.kind)}://{ref.bucket}/{model_id}/"


def whole_log(page: str, results: str) -> str:
    """Say where all of a program's log is."""
    return f"The whole log: {page}/log, and after the run {results}learner-1/training-log.txt"
