"""What guards Airflow's whole api-server, as its plugin hands it over."""

from __future__ import annotations

from typing import Any

from trainyard.airflow.app import current_app
from trainyard.api.guards.airflowdoor import AirflowDoor
from trainyard.api.guards.connections import bound_headers
from trainyard.api.guards.logins import SlowLogins
from trainyard.api.guards.members import MemberGuard
from trainyard.api.guards.turns import MemberTurns
from trainyard.api.guards.warmstart import WarmStart


def root_middlewares() -> list[dict[str, Any]]:
    """Bound the headers of connections, and return the middlewares that bound everything behind them, inner first."""
    bound_headers()
    given = {"settings": current_app().settings}
    return [
        {"name": "trainyard warm start", "middleware": WarmStart, "args": [], "kwargs": {}},
        {"name": "trainyard members", "middleware": MemberGuard, "args": [], "kwargs": given},
        {"name": "trainyard turns", "middleware": MemberTurns, "args": [], "kwargs": given},
        {"name": "trainyard slow logins", "middleware": SlowLogins, "args": [], "kwargs": given},
        {"name": "trainyard bounded requests", "middleware": AirflowDoor, "args": [], "kwargs": given},
    ]
