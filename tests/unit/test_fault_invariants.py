"""The invariants that a campaign of faults is judged by: each is seen to break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faults.actions import Toll
from faults.invariants import End, broken
from faults.load import LINES, RESULT_FILES

RUN, OTHER = "training-DOl4q2LkR", "training-0ther0000"
LOG = "".join(f"line {number}\n" for number in range(LINES))


class _Yard:
    """The bucket, the pods and Airflow's pages of a stack that has come to rest."""

    def __init__(self) -> None:
        names = ["model.txt", "starts.txt", *(f"{number}.bin" for number in range(RESULT_FILES))]
        self.sizes = dict.fromkeys(names, 7)
        self.texts = {"starts.txt": "start\n", "learner-1/training-log.txt": LOG, "learner-1/outcome.txt": "completed"}
        self.there: list[str] = []
        self.pages: dict[str, Any] = {
            "pools": [{"name": "gpus-default", "occupied_slots": 0, "deferred_slots": 0}],
            "connections": [{"connection_id": f"{RUN}.data"}, {"connection_id": "kubernetes_default"}],
        }

    def stored(self, model_id: str, name: str) -> str:
        return self.texts[name]

    def results(self, model_id: str) -> dict[str, int]:
        return self.sizes

    def pods(self) -> list[str]:
        return self.there

    def airflow(self, place: str) -> Any:
        return SimpleNamespace(json=lambda: self.pages)


def _end(tmp_path: Path) -> Any:
    """A run that has ended well, and nothing beside it."""
    (tmp_path / "runs" / RUN / RUN / "logs").mkdir(parents=True)
    ground = SimpleNamespace(yard=_Yard(), workspace=tmp_path, steps=list, orphans=list, programs=list)
    run = {"training_id": RUN, "state": "completed", "phase": "done", "finished_at": "2026-01-01", "outcome": {}}
    return End(ground, Toll(), {"fault-1": RUN}, {RUN: run})  # type: ignore[arg-type]


def test_a_run_that_ended_well_breaks_nothing(tmp_path: Path) -> None:
    assert broken(_end(tmp_path)) == []


def _lost(end: Any) -> None:
    end.accepted["fault-2"] = OTHER


def _unasked(end: Any) -> None:
    end.runs[OTHER] = end.runs[RUN]


def _going(end: Any) -> None:
    end.runs[RUN] |= {"finished_at": None, "state": "running", "phase": "training"}


def _failed(end: Any) -> None:
    end.runs[RUN] |= {"state": "error", "outcome": {"code": "S102"}}


def _trained_twice(end: Any) -> None:
    end.ground.yard.texts["starts.txt"] = "start\nstart\n"


def _line_repeated(end: Any) -> None:
    end.ground.yard.texts["learner-1/training-log.txt"] = f"line 0\n{LOG}"


def _line_lost(end: Any) -> None:
    end.ground.yard.texts["learner-1/training-log.txt"] = LOG.replace("line 7\n", "")


def _model_lost(end: Any) -> None:
    del end.ground.yard.sizes["model.txt"]


def _other_reason(end: Any) -> None:
    end.toll.programs.add(RUN)
    end.runs[RUN] |= {"state": "error", "outcome": {"code": "C201"}}


def _pod_left(end: Any) -> None:
    end.ground.yard.there = ["pod/training-dol4q2lkr-1"]


def _folder_left(end: Any) -> None:
    (end.ground.workspace / "runs" / RUN / RUN / "model").mkdir()


def _hold_left(end: Any) -> None:
    (end.ground.workspace / "datasets" / ".holds" / f"{RUN}.{RUN}").mkdir(parents=True)


def _half_left(end: Any) -> None:
    (end.ground.workspace / "datasets").mkdir()
    (end.ground.workspace / "datasets" / "a.part").touch()


def _slot_left(end: Any) -> None:
    end.ground.yard.pages["pools"][0]["deferred_slots"] = 1


def _step_left(end: Any) -> None:
    end.ground.steps = lambda: [SimpleNamespace(pid=7)]


def _worker_left(end: Any) -> None:
    end.ground.orphans = lambda: [SimpleNamespace(pid=8)]


def _program_left(end: Any) -> None:
    end.ground.programs = lambda: [(None, RUN)]


def _connection_left(end: Any) -> None:
    end.ground.yard.pages["connections"].append({"connection_id": f"{OTHER}.data"})


@pytest.mark.parametrize(
    ("harm", "stated"),
    [
        (_lost, f"listed: {OTHER} was accepted and is not listed"),
        (_unasked, f"listed: {OTHER} is listed and was not accepted"),
        (_going, f"terminal: {RUN} has not ended: training"),
        (_failed, f"terminal: {RUN} ended as error with S102"),
        (_trained_twice, f"trained_once: {RUN} was started 2 times, 0 pods were taken"),
        (_line_repeated, f"stored: {RUN} has a log of 21 lines"),
        (_line_lost, f"stored: {RUN} has a log of 19 lines"),
        (_model_lost, f"stored: {RUN} is completed without its model"),
        (_other_reason, f"reported: {RUN} shows C201"),
        (_pod_left, "nothing_left: pod/training-dol4q2lkr-1 is still there"),
        (_folder_left, f"nothing_left: {RUN} left ['model'] in the workspace"),
        (_hold_left, f"nothing_left: datasets/.holds/{RUN}.{RUN} is left"),
        (_half_left, "nothing_left: datasets/a.part is left"),
        (_slot_left, "nothing_left: pool gpus-default has slots in use"),
        (_step_left, "nothing_left: 7 still runs a step"),
        (_worker_left, "nothing_left: 8 waits for a scheduler that has ended"),
        (_program_left, f"nothing_left: {RUN}'s program still runs"),
        (_connection_left, f"connected: {OTHER} has connections and no run"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_breaks_one_is_told(tmp_path: Path, harm: Callable[[Any], None], stated: str) -> None:
    end = _end(tmp_path)
    harm(end)
    assert [sentence for sentence in broken(end) if sentence.startswith(stated)]
