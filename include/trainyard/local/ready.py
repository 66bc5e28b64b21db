"""Whether a server answers, and waiting until it does, with a limit.

`python -m trainyard.local.ready URL [PART]` ends with 0 if a server answers, or calls a part of Airflow healthy, for
the health checks of containers.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException

_PAUSE_SECONDS = 0.1


def answers(url: str) -> bool:
    """Say whether a server on this machine answers at all; a refusal is an answer."""
    try:
        _open(url)
    except urllib.error.HTTPError as refused:
        refused.close()
        return True
    except (OSError, HTTPException):
        return False
    return True


def heartbeat(health_url: str, part: str, since: float = 0) -> bool:
    """Say whether Airflow's health page calls a part healthy, by a heartbeat after `since` (in seconds of the epoch).

    A part that was killed counts as healthy for half a minute more.
    """
    try:
        health = json.loads(_open(health_url))
    except (OSError, HTTPException, ValueError):
        return False
    name = part.replace("-", "_")
    stated = health.get(name) or {}
    return stated.get("status") == "healthy" and (not since or _seconds(stated.get(f"latest_{name}_heartbeat")) > since)


def alive(url: str, part: str = "") -> bool:
    """Say whether the server at `url` answers; with `part`, whether Airflow's health page there calls it healthy."""
    return heartbeat(url, part) if part else answers(url)


def wait_for(condition: Callable[[], object], limit_seconds: float) -> bool:
    """Ask until the condition holds or the limit has passed; return whether it held."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _seconds(time: str | None) -> float:
    """Return a time of the health page in seconds of the epoch."""
    return datetime.fromisoformat(time).timestamp() if time else 0


def _open(url: str) -> bytes:
    # The local cluster signs its own certificate; nothing secret is sent here, so it need not be checked.
    context = ssl._create_unverified_context() if url.startswith("https") else None
    # A proxy of the machine's environment must not be asked for the loopback interface.
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with urllib.request.build_opener(*handlers).open(url, timeout=2) as answer:
        body: bytes = answer.read()
        return body


if __name__ == "__main__":
    sys.exit(not alive(*sys.argv[1:]))
