"""A run's metrics over HTTP: read while it goes, on from a cursor, as a stream, and from its bucket afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from appasking import created_app
from metricfiles import Program
from samples import MODEL_ID, RUN, training
from test_front_door import _ADA, _RUN, _Http, _Service

from trainyard.core.livemetrics import LiveMetrics
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.workspace.layout import Workspace
from trainyard.workspace.metrics.stored import to_lines

pytestmark = pytest.mark.xdist_group("airflow")
_DONE = replace(_RUN, phase=Phase.DONE, outcome=Outcome(exit_code=0, started_at=1.0, finished_at=2.0))
_PLACE = f"/models/{MODEL_ID}/metrics"


@pytest.fixture
def service():
    return _Service()


@pytest.fixture
def program(tmp_path):
    return Program(Workspace(tmp_path / "workspace").run(RUN).root)


@pytest.fixture
def http(service, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
    app = created_app()
    from trainyard.api.auth import caller_of

    app.state.service = service
    app.state.metrics = LiveMetrics(Workspace(tmp_path / "workspace"), lambda training_id: training(training_id))
    app.dependency_overrides[caller_of] = lambda: _ADA
    return _Http(app)


def _until(looked, seconds=20.0):
    """Look until there is something true; a reading that was just done is not repeated at once."""
    end = time.monotonic() + seconds
    while not (found := looked()):
        assert time.monotonic() < end, "it does not come"
    return found


def _points(answer, name="loss"):
    return [point for curve in answer["curves"] if curve["name"] == name for point in curve["points"]]


class TestLive:
    def test_what_a_program_has_written_is_read_with_the_first_look(self, http, program):
        program.log({"step": 1, "loss": 2.0, "total_steps": 4}, {"step": 2, "loss": 1.0, "total_steps": 4})
        answer = _until(lambda: (found := http.get(_PLACE).json())["curves"] and found)
        assert answer["model_id"] == MODEL_ID
        (curve,) = answer["curves"]
        assert (curve["name"], curve["source"], curve["count"]) == ("loss", "jsonl", 2)
        assert (curve["last"], curve["maximum"]) == ([2.0, None, 1.0], [1.0, None, 2.0])
        assert answer["progress"]["fraction"] == 0.5
        assert not answer["complete"]

    def test_a_cursor_asks_for_what_is_new(self, http, program):
        program.log({"step": 1, "loss": 2.0})
        first = _until(lambda: (found := http.get(_PLACE).json())["curves"] and found)
        assert http.get(_PLACE, params={"since": first["cursor"]}).json()["curves"] == []
        program.log({"step": 2, "loss": 1.0})
        asked = {"since": first["cursor"]}
        new = _until(lambda: (found := http.get(_PLACE, params=asked).json())["curves"] and found)
        assert (_points(new), new["whole"]) == ([[2.0, None, 1.0]], False)

    @pytest.mark.parametrize("since", ["other.1", "x", ".", "9" * 60])
    def test_a_cursor_of_something_else_gets_the_whole(self, http, program, since):
        program.log({"step": 1, "loss": 2.0})
        answer = _until(lambda: (found := http.get(_PLACE, params={"since": since}).json())["curves"] and found)
        assert answer["whole"]

    def test_points_are_thinned_to_what_is_asked_for(self, http, program):
        program.log(*({"step": step, "loss": float(step == 500)} for step in range(1000)))
        _until(lambda: http.get(_PLACE).json()["curves"])
        points = _points(http.get(_PLACE, params={"points": 10}).json())
        assert len(points) <= 10
        assert [500.0, None, 1.0] in points

    @pytest.mark.parametrize("asked", [{"points": 0}, {"points": 10_001}, {"since": "x" * 65}, {"points": "many"}])
    def test_what_cannot_be_asked_for_is_refused(self, http, asked):
        answer = http.get(_PLACE, params=asked)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    def test_the_newest_values_and_the_progress_stand_in_list_and_show(self, http, program):
        program.log({"step": 1, "loss": 2.0, "total_steps": 4})
        run = _until(lambda: (found := http.get(f"/models/{MODEL_ID}").json())["metrics"] and found)
        assert (run["metrics"], run["progress"]["total"]) == ({"loss": 2.0}, 4)
        assert http.get("/models").json()["resources"][0]["metrics"] == {"loss": 2.0}

    def test_a_run_that_has_nothing_yet_has_no_curves(self, http):
        answer = http.get(_PLACE).json()
        assert (answer["curves"], answer["progress"], answer["complete"]) == ([], None, False)


class TestStream:
    def test_events_come_until_the_run_has_ended(self, http, program, service):
        program.log({"step": 1, "loss": 2.0})
        _until(lambda: http.get(_PLACE).json()["curves"])
        looks = iter([_RUN, _RUN, _DONE])
        service.run = lambda model_id, caller: next(looks, _DONE)
        answer = http.get(_PLACE, params={"follow": "true"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
        assert (events[0][0], events[-1][0]) == ("event: metrics", "event: end")
        assert _points(json.loads(events[0][1].removeprefix("data: "))) == [[1.0, None, 2.0]]

    def test_one_of_a_run_that_is_deleted_meanwhile_ends(self, http, program, service):
        looks = iter([_RUN])

        def run(model_id, caller):
            from trainyard.errors import TrainyardError

            for found in looks:
                return found
            raise TrainyardError("C107", "there is no such run", "List them.")

        service.run = run
        assert http.get(_PLACE, params={"follow": "true"}).text.endswith(f'{{"model_id": "{MODEL_ID}"}}\n\n')


class TestAfterwards:
    def test_they_come_from_the_bucket_where_the_workspace_has_none(self, http, program, service):
        program.log({"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1.0})
        stored = b"".join(to_lines(program.read(whole=True)))
        for path in (program.run.metrics, program.run.metrics_summary):
            path.unlink()
        service.run_there = _DONE
        service.store.contents = {"metrics.jsonl": stored}
        answer = http.get(_PLACE).json()
        assert (_points(answer), answer["complete"]) == ([[1.0, None, 2.0], [3.0, None, 1.0]], True)
        assert answer["curves"][0]["not_finite"] == 1

    @pytest.mark.parametrize(
        "content",
        [b"", b"hello\n", b"[]\n", b'{"format": 1}\n', b'{"format": 2}\n', b"\xff" * 100]
        + [
            b'{"format": 1, "generation": "x", "seen": 1, "progress": {}, "warnings": []}\n' + line
            for line in (
                b'{"metric": "a", "source": "b", "at": 1}\n',
                b'{"metric": 1, "source": "b", "count": 1, "not_finite": 0}\n',
                b'{"metric": "a", "source": "b", "count": 1, "not_finite": 0}\n'
                b'{"metric": "a", "source": "b", "at": 1, "step": NaN, "time": null, "value": 1}\n',
            )
        ],
    )
    def test_what_somebody_has_put_in_their_place_is_said(self, http, service, content):
        service.run_there = _DONE
        service.store.contents = {"metrics.jsonl": content}
        answer = http.get(_PLACE).json()
        assert (answer["curves"], len(answer["warnings"])) == ([], 1)

    def test_a_run_without_any_has_none(self, http, service):
        service.run_there = _DONE
        answer = http.get(_PLACE).json()
        assert (answer["curves"], answer["warnings"], answer["complete"]) == ([], [], True)
