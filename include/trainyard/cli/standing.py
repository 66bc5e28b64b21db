"""Changing what a schedule does: the part that `pause`, `resume` and `unschedule` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient


def change(service: RestClient, screen: Screen, training_id: str, state: str, verb: str) -> None:
    """Bring a schedule into a state, and show what became of it."""
    from trainyard.cli.tables import pairs

    schedule = service.change_schedule(training_id, state).as_data()
    screen.say(*pairs(_rows(schedule)), "OK", f"{verb} schedule successful")
    screen.data(schedule)


def _rows(schedule: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("State", str(schedule["state"])), ("Next_at", str(schedule.get("next_at") or ""))]
    return [row for row in rows if row[1]]
