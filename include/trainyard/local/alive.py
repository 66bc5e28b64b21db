"""`python -m trainyard.local.alive URL [PART]`: end with 0 if a server answers, or calls a part of Airflow healthy."""

from __future__ import annotations

import sys

from trainyard.local.ready import answers, heartbeat


def alive(url: str, part: str = "") -> bool:
    """Say whether the server at `url` answers; with `part`, whether Airflow's health page there calls it healthy."""
    return heartbeat(url, part) if part else answers(url)


if __name__ == "__main__":
    sys.exit(not alive(*sys.argv[1:]))
