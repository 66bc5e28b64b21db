"""Hand Airflow what is ours: the timetable of a training, the front door and the pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from trainyard.airflow.timetable import TrainingTimetable


def _serves_requests() -> bool:
    """Distinguish the api-server from Airflow's other processes, which would pay for the app's imports in vain."""
    return "api-server" in sys.argv or Path(sys.argv[0]).name in ("gunicorn", "uvicorn")


def _apps() -> list[dict[str, Any]]:
    if not _serves_requests():
        return []
    from trainyard.api.app import create_app
    from trainyard.web.app import create_pages

    front_door = create_app()
    return [
        {"app": front_door, "url_prefix": "/v3", "name": "trainyard"},
        {"app": create_pages(front_door), "url_prefix": "/trainyard", "name": "trainyard pages"},
    ]


def _guards() -> list[dict[str, Any]]:
    if not _serves_requests():
        return []
    from trainyard.api.guards.root import root_middlewares

    return root_middlewares()


# Relative to where Airflow's UI is, which may be below a path of its own.
_ICON = {"icon": "trainyard/assets/menu/icon.svg"}
_LIST = {"name": "Trainings", "href": "trainyard/", "url_route": "trainings"}
_VIEWS = (
    {**_LIST, **_ICON, "destination": "nav", "nav_top_level": True},
    {"name": "Training", "href": "trainyard/dags/{DAG_ID}", "destination": "dag", "url_route": "training"},
    {"name": "Training", "href": "trainyard/runs/{RUN_ID}", "destination": "dag_run", "url_route": "training-run"},
)


class TrainyardPlugin(AirflowPlugin):
    name = "trainyard"
    timetables = (TrainingTimetable,)
    fastapi_apps = _apps()
    fastapi_root_middlewares = _guards()
    external_views = [dict(view) for view in _VIEWS]  # noqa: RUF012 - as Airflow wants it
