"""What guards Airflow's whole api-server, as its plugin hands it over."""

from __future__ import annotations

import os
from typing import Any

from trainyard.api.guards.airflowdoor import AirflowDoor
from trainyard.api.guards.connections import bound_headers
from trainyard.api.guards.logins import SlowLogins
from trainyard.api.guards.members import MemberGuard
from trainyard.api.guards.warmstart import WarmStart
from trainyard.settings import read_settings


def root_middlewares() -> list[dict[str, Any]]:
    """Bound the headers of connections, and return the middlewares that bound everything behind them, inner first."""
    bound_headers()
    given = {"settings": read_settings(os.environ)}
    return [
        {"name": "trainyard warm start", "middleware": WarmStart, "args": [], "kwargs": given},
        {"name": "trainyard members", "middleware": MemberGuard, "args": [], "kwargs": given},
        {"name": "trainyard slow logins", "middleware": SlowLogins, "args": [], "kwargs": given},
        {"name": "trainyard bounded requests", "middleware": AirflowDoor, "args": [], "kwargs": given},
    ]
