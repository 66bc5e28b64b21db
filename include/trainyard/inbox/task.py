"""The task of the intake DAG: one pass over the inbox."""

from __future__ import annotations

import logging
import time
from collections import Counter
from functools import partial

from trainyard.airflow.app import current_app
from trainyard.airflow.failures import explained

log = logging.getLogger(__name__)


@explained()
def submit_drops() -> dict[str, int]:
    """Submit everything that is complete in the inbox now; return how many drops were accepted, refused, and so on.

    Raise TrainyardError S500 if any could not be submitted by no fault of its own: it stays, and is tried again.
    """
    from trainyard.airflow.connections import read_login
    from trainyard.airflow.frontdoor import front_door
    from trainyard.errors import TrainyardError
    from trainyard.inbox.door import HttpDoor
    from trainyard.inbox.passing import submit_all
    from trainyard.inbox.place import open_inbox
    from trainyard.inbox.submitting import DropSubmitter

    settings = current_app().settings
    store = open_inbox(settings.inbox, read_login(settings.inbox_connection), settings)
    with front_door() as service:
        submitter = DropSubmitter(store, HttpDoor(service), settings.inbox_wait_seconds)
        settle = partial(time.sleep, settings.inbox_settle_seconds)
        results, failed = submit_all(submitter, settle, settings.inbox_threads)
    if failed:
        raise TrainyardError("S500", f"{failed} drops could not be submitted; they stay", "Look at the log above.")
    return dict(Counter(each.what for each in results))
