"""Runs in a real MLflow server, read back by its own REST interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from mlflowserver.serving import mlflow_server
from samples import MODEL_ID, RUN, training

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.tracking.mlflow import Place, send
from trainyard.tracking.record import Record, record_of
from trainyard.tracking.server import Server, TrackingError
from trainyard.workspace.metrics.curves import Curve

# One server, which takes seconds to start.
pytestmark = pytest.mark.xdist_group("mlflow")
ABOUT = {
    "owner": "ada",
    "account": "vision",
    "experiment": 'grid \'of` "lr" ü/%',
    "data_version": "",
    "zip_sha256": "0" * 64,
}
NAMES = ("loss", "acc@5", "acc#5", "val//loss", "../up", "/", "..a", "größe", "x" * 200)
PARAMETERS = {"lr": 1e-05, "deep": True, "empty": "", "text": "ü" * 1000}


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with mlflow_server() as url:
        yield Server(url)


def ask(server: Server, path: str, **params: str) -> Any:
    return httpx.get(f"{server.url}/api/2.0/mlflow/{path}", params=params, timeout=60).raise_for_status().json()


def curve(name: str, points: int) -> Curve:
    made = Curve(name, "jsonl")
    for at in range(points):
        made.add(at, at, 1_700_000_000.0 + at, 99.0 if at == 77 else 1.0 / (at + 1), 10_000)
    return made


def record(outcome: Outcome, *curves: Curve, key: RunKey = RUN, **about: str) -> Record:
    made = training(hyperparameters=PARAMETERS)
    return record_of(key, made.spec, made.plan, outcome, curves, {**ABOUT, **about}, now=1_700_000_500.0)


def tell(server: Server, one: Record) -> Place:
    return send(server, one, 120.0)


@pytest.fixture(scope="session")
def told(server: Server) -> Place:
    done = Outcome(exit_code=0, gpu_seconds=9.0, started_at=1_700_000_000.0, finished_at=1_700_000_400.0)
    return tell(server, record(done, *(curve(name, 1200) for name in NAMES)))


def test_mlflow_has_the_run_with_all_that_is_told_of_it(server: Server, told: Place) -> None:
    run = ask(server, "runs/get", run_id=told.run_id)["run"]
    params, tags = ({each["key"]: each.get("value", "") for each in run["data"][kind]} for kind in ("params", "tags"))
    assert (params["lr"], params["deep"], params["empty"], params["text"]) == ("1e-05", "true", "", "ü" * 1000)
    assert params["trainyard.size"] == "small"
    assert tags["trainyard.model_id"] == MODEL_ID
    assert tags["trainyard.artifacts"] == f"s3://training-results/{MODEL_ID}/"
    assert (run["info"]["status"], run["info"]["end_time"]) == ("FINISHED", 1_700_000_400_000)
    assert tags["mlflow.user"] == "ada"
    experiment = ask(server, "experiments/get", experiment_id=told.experiment_id)["experiment"]
    assert experiment["name"] == ABOUT["experiment"]


def test_every_metric_is_there_with_its_peak(server: Server, told: Place) -> None:
    latest = ask(server, "runs/get", run_id=told.run_id)["run"]["data"]["metrics"]
    assert len(latest) == len(NAMES)
    assert {each["step"] for each in latest} == {1199}
    points = ask(server, "metrics/get-history", run_id=told.run_id, metric_key="loss")["metrics"]
    assert 500 < len(points) <= 1000
    assert max(each["value"] for each in points) == 99.0


def test_a_run_that_is_told_again_is_the_same_and_has_no_point_twice(server: Server) -> None:
    other = RunKey(MODEL_ID, "training-000000002")
    first = tell(server, record(Outcome("S305", "results are not in the bucket"), curve("loss", 50), key=other))
    assert ask(server, "runs/get", run_id=first.run_id)["run"]["info"]["status"] == "FAILED"
    assert tell(server, record(Outcome(), curve("loss", 50), key=other)) == first
    run = ask(server, "runs/get", run_id=first.run_id)["run"]
    tags = {each["key"]: each.get("value", "") for each in run["data"]["tags"]}
    assert (run["info"]["status"], tags["trainyard.outcome"]) == ("FINISHED", "")
    assert len(ask(server, "metrics/get-history", run_id=first.run_id, metric_key="loss")["metrics"]) == 50


def test_a_run_that_was_canceled_is_killed(server: Server) -> None:
    place = tell(server, record(Outcome("C204", "canceled by ada"), key=RunKey(MODEL_ID, "training-000000003")))
    assert ask(server, "runs/get", run_id=place.run_id)["run"]["info"]["status"] == "KILLED"


def test_a_refusal_is_named_by_mlflows_code(server: Server) -> None:
    wrong = replace(record(Outcome(), key=RunKey(MODEL_ID, "training-000000004")), params={"a(b)": "1"})
    with pytest.raises(TrackingError, match="it answers 400 INVALID_PARAMETER_VALUE"):
        tell(server, wrong)
