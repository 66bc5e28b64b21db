"""Hand Airflow what is ours: the timetable of a training and the front door."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from trainyard.airflow.timetable import TrainingTimetable


def _serves_requests() -> bool:
    """Tell the api-server from Airflow's other processes, which would pay for the app's imports in vain."""
    return "api-server" in sys.argv or Path(sys.argv[0]).name in ("gunicorn", "uvicorn")


def _apps() -> list[dict[str, Any]]:
    if not _serves_requests():
        return []
    from trainyard.api.app import create_app

    return [{"app": create_app(), "url_prefix": "/v3", "name": "trainyard"}]


def _guards() -> list[dict[str, Any]]:
    if not _serves_requests():
        return []
    from trainyard.api.guards.root import root_middlewares

    return root_middlewares()


class TrainyardPlugin(AirflowPlugin):
    name = "trainyard"
    timetables = (TrainingTimetable,)
    fastapi_apps = _apps()
    fastapi_root_middlewares = _guards()
