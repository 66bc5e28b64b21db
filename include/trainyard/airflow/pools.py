"""Airflow pools as limits of the accounts: of the GPUs that each owns, and of the workers that it occupies without one.

Checks and transfers wait for object stores, which are the account's own and may be slow, or never answer: each account
has room of its own for them, so that none waits for another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow.models.pool import Pool
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from trainyard.domain.limits import Limits
from trainyard.domain.names import CPU_POOL, account_pool, checks_pool, transfers_pool
from trainyard.settings import Settings


def pool_sizes(limits: Limits, settings: Settings) -> dict[str, tuple[int, str]]:
    """Return what pools there have to be: name -> slots and description."""
    wanted = {CPU_POOL: (settings.cpu_slots, "Trainings without a GPU at the same time")}
    for account in limits.accounts.values():
        name = account.name
        wanted[account_pool(name)] = (account.gpus, f"GPUs of account {name}")
        wanted[checks_pool(name)] = (settings.check_slots, f"Checks of account {name}'s runs at the same time")
        wanted[transfers_pool(name)] = (
            settings.transfer_slots,
            f"Stagings and uploads of account {name}; no GPU is held",
        )
    return wanted


@dataclass(frozen=True)
class Resized:
    """A pool that was made or resized; `before` is None for one that was not there."""

    pool: str
    before: int | None
    after: int


def sync_pools(limits: Limits, settings: Settings) -> list[Resized]:
    """Create the pools that are missing and resize those that differ from the quotas; return what was changed.

    A training waits deferred for its pod and owns its GPUs meanwhile, so deferred tasks keep their slots.
    """
    wanted = pool_sizes(limits, settings)
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
