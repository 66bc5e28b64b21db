"""The watched bucket of the one-machine stack: `trainyard` in its object store."""

from __future__ import annotations

import json
import os
from pathlib import Path

from trainyard.local.objectkeys import INBOX_BUCKET

BUCKET = INBOX_BUCKET
_SETTING = "TRAINYARD_INBOX"


def inbox_environment(objects: Path) -> dict[str, str]:
    """Return the inbox's setting and connection; whoever names another inbox brings its connection too.

    The bucket is watched as the folder that it is on this machine, so the object store's keys stay out of the
    environment of Airflow's processes.
    """
    if _SETTING in os.environ:
        return {}
    nobody = {"conn_type": "generic"}
    return {_SETTING: (objects / BUCKET).as_uri(), "AIRFLOW_CONN_TRAINYARD_INBOX": json.dumps(nobody)}


def make_inbox(objects: Path) -> None:
    """Make the bucket and the folder that people drop into."""
    (objects / BUCKET / "inbox").mkdir(parents=True, exist_ok=True)
