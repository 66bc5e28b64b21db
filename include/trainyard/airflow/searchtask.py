"""The task of the DAG of searches, for whoever triggers it by hand: look at all of them once."""

from __future__ import annotations

from trainyard.airflow.failures import explained


@explained()
def settle() -> None:
    from trainyard.airflow.frontdoor import front_door

    with front_door() as service:
        service.settle_searches()
