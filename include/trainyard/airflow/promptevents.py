"""Let the triggerer pass the end of a training on at once, not at its next look."""

from __future__ import annotations

from typing import Any

_MARK = "tells_at_once"


def install() -> None:
    """Teach this process's trigger runner to tell its supervisor of a trigger's events when the trigger ends.

    For the triggerer, before it forks its runner; a second time is harmless. Airflow's runner collects events and tells
    of them once a second, and until then the GPUs of a program that has ended are nobody's.
    """
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    as_usual = TriggerRunner.run_trigger
    if hasattr(as_usual, _MARK):
        return

    async def run_trigger(self: Any, *args: Any, **kwargs: Any) -> None:
        await as_usual(self, *args, **kwargs)
        await self.sync_state_to_supervisor([])

    setattr(run_trigger, _MARK, True)
    TriggerRunner.run_trigger = run_trigger  # type: ignore[method-assign]
