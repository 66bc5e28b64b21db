"""The end of a training is passed on by the triggerer at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from late import Late

pytestmark = pytest.mark.xdist_group("airflow")

promptevents = Late("trainyard.airflow.patches.promptevents")
runners = Late("airflow.jobs.triggerer_job_runner")
triggers = Late("airflow.triggers.base")


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events the supervisor was told of, each time that it was told."""
    monkeypatch.setattr(runners.TriggerRunner, "run_trigger", runners.TriggerRunner.run_trigger)
    monkeypatch.setenv("AIRFLOW_DISABLE_GREENBACK_PORTAL", "true")
    promptevents.install()
    promptevents.install()
    reported: list[int] = []

    async def tell(runner: Any, finished: list[int]) -> None:
        assert finished == []
        reported.append(len(runner.events))

    monkeypatch.setattr(runners.TriggerRunner, "sync_state_to_supervisor", tell)
    return reported


def _run(trigger: Any) -> None:
    runner = runners.TriggerRunner()
    runner.events = deque()
    runner.triggers = {7: {"name": "a run's", "events": 0}}
    asyncio.run(runner.run_trigger(7, trigger))


def _trigger(events: int) -> Any:
    class Ends(triggers.BaseTrigger):  # type: ignore[misc, name-defined]
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "", {}

        async def run(self) -> Any:
            if not events:
                raise OSError("no cluster")
            for _ in range(events):
                yield triggers.TaskSuccessEvent()

    made = Ends()
    made.task_instance = None
    return made


def test_the_supervisor_hears_of_it_when_the_trigger_ends(reported: list[int]) -> None:
    _run(_trigger(1))
    assert reported == [1]


def test_a_trigger_that_fails_is_airflows_to_tell(reported: list[int]) -> None:
    with pytest.raises(OSError, match="no cluster"):
        _run(_trigger(0))
    assert reported == []
