"""What Airflow's own task runner logs of a step that fails, and what becomes of the step."""

from __future__ import annotations

import io
import json
import logging
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from late import Late
from samples import MODEL_ID, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    pytest.mark.filterwarnings("ignore"),  # of what Airflow imports at its first use
]

cancels = Late("trainyard.airflow.cancel")
dags = Late("trainyard.airflow.dag")
failures = Late("trainyard.airflow.failures")
logs = Late("airflow.sdk.log")
_RUNNER = "airflow.sdk.execution_time.task_runner"
runner = Late(_RUNNER)
sdk = Late("airflow.sdk")
_STEPS = ["validate", "stage", "train", "upload", "cleanup"]


class _Comms:
    """Stands for the supervisor: takes what the runner reports, and has no XComs."""

    def __init__(self):
        self.sent = []

    def send(self, msg):
        self.sent.append(msg)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a task as a worker does; return its state, the exception its callbacks get, and the log as JSON lines."""
    monkeypatch.setattr(f"{_RUNNER}.SUPERVISOR_COMMS", _Comms(), raising=False)
    monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path))
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
    pushed = {}
    monkeypatch.setattr(
        runner.RuntimeTaskInstance, "xcom_push", lambda self, key, value: pushed.update({key: value}), raising=True
    )
    monkeypatch.setattr(runner.RuntimeTaskInstance, "xcom_pull", lambda self, **_: None)

    def started(task, run_id=MODEL_ID, may_retry=True):
        import structlog

        task, written = task.prepare_for_execution(), io.BytesIO()
        processors = logs.logging_processors(json_output=True)
        log = structlog.wrap_logger(structlog.BytesLogger(written), processors=processors)
        ti = runner.RuntimeTaskInstance.model_construct(
            id=uuid.uuid4(),
            task_id=task.task_id,
            dag_id=MODEL_ID,
            run_id=run_id,
            try_number=1,
            map_index=-1,
            task=task,
            max_tries=3,
            start_date=datetime.now(UTC),
            rendered_map_index=None,
        )
        ti._ti_context_from_server = SimpleNamespace(
            should_retry=may_retry, xcom_keys_to_clear=[], max_tries=3, dag_run=SimpleNamespace(team_name=None)
        )
        dag_run = SimpleNamespace(conf=None, clear_number=0, dag_id=MODEL_ID, run_id=run_id)
        context = {"ti": ti, "task_instance": ti, "task": task, "run_id": run_id, "dag_run": dag_run}
        monkeypatch.setattr(f"{_RUNNER}._prepare", lambda *_: None)
        monkeypatch.setattr(f"{_RUNNER}._render_map_index", lambda *_, **__: None)
        monkeypatch.setattr(f"{_RUNNER}._execute_task", lambda context, ti, log: ti.task.execute(context))
        monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
        state, _, error = runner.run(ti, context, log)
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        return SimpleNamespace(state=state.value, error=error, lines=lines, pushed=pushed)

    return started


def _errors(done):
    return [line for line in done.lines if line["level"] == "error"]


def _has_traceback(done):
    return "frames" in json.dumps(done.lines) or "Traceback" in json.dumps(done.lines)


def _step(name):
    return dags.training_dag(training()).get_task(name)


class TestExpected:
    @pytest.mark.parametrize("step", _STEPS)
    def test_a_refusal_fails_every_step_for_good_without_a_traceback(self, run, step, caplog):
        done = run(_step(step), run_id="manual__2026-01-01")
        assert done.state == "failed"
        assert Outcome.from_dict(done.pushed["outcome"]).code == "C110"
        assert not _has_traceback(done)
        assert [(line["event"], line["exit_code"]) for line in _errors(done)] == [("Task exited", "C110")]
        (block,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert block.startswith("C110, a fault of the submission: ")
        assert "\nHint: " in block

    @pytest.mark.parametrize(("may_retry", "state"), [(True, "up_for_retry"), (False, "failed")])
    @pytest.mark.parametrize("step", ["validate", "stage", "upload"])
    def test_what_the_infrastructure_did_is_tried_again_without_a_traceback(self, run, step, may_retry, state):
        done = run(_step(step), may_retry=may_retry)
        assert (done.state, Outcome.from_dict(done.pushed["outcome"]).code) == (state, "S301")
        assert not _has_traceback(done)

    def test_a_callback_of_somebodys_gets_the_whole_reason(self, run):
        done = run(_step("validate"), run_id="manual__2026-01-01")
        assert str(done.error).startswith("C110, a fault of the submission: ")

    def test_a_canceled_run_is_nobodys_fault(self, run, monkeypatch, tmp_path, caplog):
        Catalogue(tmp_path).add(training())
        monkeypatch.setattr("trainyard.airflow.tasks.check_not_canceled", _raising(cancels.canceled_by("grace")))
        done = run(_step("validate"))
        assert (done.state, Outcome.from_dict(done.pushed["outcome"]).code) == ("failed", "C204")
        assert not _has_traceback(done)
        assert "a fault of" not in caplog.text

    @pytest.mark.parametrize(("may_retry", "state"), [(True, "up_for_retry"), (False, "failed")])
    def test_a_task_of_the_services_own_keeps_its_tries(self, run, may_retry, state, caplog):
        @failures.explained()
        def ask():
            raise TrainyardError("C103", "the bucket is not there", "Make it.")

        done = run(_python_task(ask), may_retry=may_retry)
        assert done.state == state
        assert not _has_traceback(done)
        assert "C103, a fault of the submission: the bucket is not there.\nHint: Make it." in caplog.text


class TestUnexpected:
    def test_an_unexpected_exception_has_its_traceback_and_its_tries(self, run):
        @failures.explained()
        def ask():
            raise ValueError("nobody has thought of it")

        done = run(_python_task(ask))
        assert done.state == "up_for_retry"
        assert _has_traceback(done)

    def test_an_unexpected_exception_in_a_step_has_its_traceback(self, run, monkeypatch):
        monkeypatch.setattr("trainyard.airflow.tasks.check_not_canceled", _raising(ValueError("nobody")))
        done = run(_step("validate"))
        assert done.state == "up_for_retry"
        assert _has_traceback(done)


def _python_task(function):
    with sdk.DAG("own"):
        return sdk.task(retries=2)(function)().operator


def _raising(what):
    def refuse(*_, **__):
        if isinstance(what, Outcome):
            raise TrainyardError(what.code, what.message, what.hint)
        raise what

    return refuse
