"""How long a new training takes to be known to Airflow, with 10, 100 and 1,000 in the catalogue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.figures import Figure
from trainyard.core.catalogue import Catalogue, Training
from trainyard.domain.names import new_model_id
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

AMONG = (10, 100, 1000)
TRIES = 5
_LIMIT_SECONDS = 600
_TEN_YEARS = 10 * 365 * 24 * 3600


def measure(stack: Stack, say: Callable[[str], None]) -> list[Figure]:
    """Fill the catalogue step by step; time from the record's appearance to the DAG in Airflow's database."""
    catalogue = Catalogue(stack.folder / "catalogue")
    pattern = catalogue.get(next(iter(catalogue.ids())))
    assert pattern is not None
    figures = []
    for among in AMONG:
        _fill(catalogue, pattern, among)
        say(f"waiting until {among} trainings are known")
        assert wait_for(partial(_all_known, stack, among), _LIMIT_SECONDS)
        seconds = [_time_of_one(stack, catalogue, pattern) for _ in range(TRIES)]
        figures.append(Figure(f"new training known among {among:,}", seconds, "s", goal=2))
    return figures


def fill(stack: Stack, among: int, limit_seconds: float) -> None:
    """Fill the catalogue of a stack up to so many, like one that is there, and wait until Airflow knows them."""
    catalogue = Catalogue(stack.folder / "catalogue")
    pattern = catalogue.get(next(iter(catalogue.ids())))
    assert pattern is not None
    _fill(catalogue, pattern, among)
    assert wait_for(partial(_all_known, stack, among), limit_seconds), f"{_known(stack)} of {among} are known"


def _fill(catalogue: Catalogue, pattern: Training, among: int) -> None:
    for _ in range(among - len(catalogue.ids())):
        catalogue.add(_dormant(pattern))


def _dormant(pattern: Training) -> Training:
    """Make a training whose first run is due in ten years, so that nothing but its DAG is measured."""
    return replace(pattern, id=new_model_id(), submitted_at=time.time() + _TEN_YEARS)


def _time_of_one(stack: Stack, catalogue: Catalogue, pattern: Training) -> float:
    training = _dormant(pattern)
    begun = time.monotonic()
    catalogue.add(training)
    assert wait_for(lambda: _known(stack, training.id) == 1, _LIMIT_SECONDS), f"{training.id} is not known"
    return time.monotonic() - begun


def _all_known(stack: Stack, among: int) -> bool:
    return _known(stack) >= among


def _known(stack: Stack, training_id: str = "training-%") -> int:
    """Count the trainings in Airflow's database that can be scheduled."""
    with sqlite3.connect(f"file:{stack.folder}/airflow/airflow.db?mode=ro", uri=True, timeout=30) as database:
        query = "select count(distinct dag_id) from serialized_dag where dag_id like ?"
        found: int = database.execute(query, (training_id,)).fetchone()[0]
        return found
