"""Airflow pools as quotas: one per account, its slots are GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow.models.pool import Pool
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from trainyard.domain.limits import Limits
from trainyard.domain.names import CPU_POOL, STAGING_POOL, account_pool


def pool_sizes(limits: Limits, staging_slots: int, cpu_slots: int) -> dict[str, tuple[int, str]]:
    """Return what pools there have to be: name -> slots and description."""
    accounts = {
        account_pool(account.name): (account.gpus, f"GPUs of account {account.name}")
        for account in limits.accounts.values()
    }
    return accounts | {
        STAGING_POOL: (staging_slots, "Stagings and uploads at the same time; no GPU is held"),
        CPU_POOL: (cpu_slots, "Trainings without a GPU at the same time"),
    }


@dataclass(frozen=True)
class Resized:
    """A pool that was made or resized; `before` is None for one that was not there."""

    pool: str
    before: int | None
    after: int


def prepare_pools(limits: Limits, staging_slots: int, cpu_slots: int) -> list[Resized]:
    """Create the pools that are missing and resize those that differ from the quotas; return what was changed.

    A training waits deferred for its pod and owns its GPUs meanwhile, so deferred tasks keep their slots.
    """
    wanted = pool_sizes(limits, staging_slots, cpu_slots)
    try:
        return _bring_to(wanted)
    except IntegrityError:  # the first two requests of all come at the same moment, and the other one has made a pool
        return _bring_to(wanted)


def _bring_to(wanted: Mapping[str, tuple[int, str]]) -> list[Resized]:
    changed = []
    with create_session() as session:
        there = {pool.pool: (pool.slots, pool.include_deferred) for pool in session.scalars(select(Pool))}
        for name, (slots, description) in wanted.items():
            if there.get(name) != (slots, True):
                Pool.create_or_update_pool(name, slots, description, include_deferred=True, session=session)
                changed.append(Resized(name, there[name][0] if name in there else None, slots))
    return changed
