"""The states of Airflow's that runs and steps end in, as its tables have them."""

from __future__ import annotations

ENDED_RUN = ("success", "failed")
ENDED_STEP = (*ENDED_RUN, "skipped", "upstream_failed")
