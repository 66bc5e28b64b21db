"""Airflow pools as limits of the accounts: of the GPUs that each owns, and of the workers that it occupies without one.

Checks and transfers wait for object stores, which are the account's own and may be slow, or never answer; cleanups wait
for the cluster. Each account has room of its own for each, so that none waits for another's, and no burst of runs takes
all workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airflow.models.pool import Pool
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from trainyard.domain.limits import Limits
from trainyard.domain.names import CPU_POOL, account_pool, checks_pool, cleanups_pool, transfers_pool
from trainyard.settings import Settings


@dataclass(frozen=True)
class PoolSize:
    """What a pool has to be: its slots, and whether a step that waits in the triggerer `owns` what they stand for.

    A training waits there for its pod, with its GPUs; any other step occupies no worker meanwhile, and keeps no slot.
    """

    slots: int
    description: str
    owns: bool = False


def pool_sizes(limits: Limits, settings: Settings) -> dict[str, PoolSize]:
    """Return what pools there have to be, by their names."""
    wanted = {CPU_POOL: PoolSize(settings.cpu_slots, "Trainings without a GPU at the same time", owns=True)}
    for account in limits.accounts.values():
        wanted[account_pool(account.name)] = PoolSize(account.gpus, _gpus_of(account.name), owns=True)
        wanted |= _step_pools(account.name, settings)
    return wanted


def _step_pools(account: str, settings: Settings) -> dict[str, PoolSize]:
    return {
        checks_pool(account): PoolSize(settings.check_slots, f"Checks of account {account}'s runs at the same time"),
        transfers_pool(account): PoolSize(
            settings.transfer_slots, f"Stagings and uploads of account {account}; no GPU is held"
        ),
        cleanups_pool(account): PoolSize(
            settings.cleanup_slots, f"Cleanups of account {account}'s runs; no GPU is held"
        ),
    }


def _gpus_of(account: str) -> str:
    return f"GPUs of account {account}"


@dataclass(frozen=True)
class Resized:
    """A pool that was made or resized; `before` is None for one that was not there."""

    pool: str
    before: int | None
    after: int


def sync_pools(limits: Limits, settings: Settings) -> list[Resized]:
    """Create the pools that are missing and resize those that differ from the quotas; return what was changed."""
    wanted = pool_sizes(limits, settings)
    try:
        return _bring_to(wanted, settings)
    except IntegrityError:  # the first two requests of all come at the same moment, and the other one has made a pool
        return _bring_to(wanted, settings)


def _bring_to(wanted: Mapping[str, PoolSize], settings: Settings) -> list[Resized]:
    changed = []
    with create_session() as session:
        there = {str(pool.pool): pool for pool in session.scalars(select(Pool))}
        for name, size in {**_of_former_accounts(there, wanted, settings), **wanted}.items():
            found = there.get(name)
            if found is None or (found.slots, found.include_deferred) != (size.slots, size.owns):
                changed.append(Resized(name, found.slots if found else None, size.slots))
                Pool.create_or_update_pool(
                    name, size.slots, size.description, include_deferred=size.owns, session=session
                )
    return changed


def _of_former_accounts(
    there: Mapping[str, Pool], wanted: Mapping[str, PoolSize], settings: Settings
) -> dict[str, PoolSize]:
    """Return the pools that the steps of accounts miss which are in quotas.yaml no more.

    Their pools stay, since their runs may still be going: Airflow never starts a step whose pool is not there.
    """
    missing: dict[str, PoolSize] = {}
    for account in _former_accounts(there, wanted):
        pools = _step_pools(account, settings)
        missing |= {name: size for name, size in pools.items() if name not in there}
    return missing


def _former_accounts(there: Mapping[str, Pool], wanted: Mapping[str, PoolSize]) -> Iterator[str]:
    prefix = account_pool("")
    for name, pool in there.items():
        account = name.removeprefix(prefix)
        if name.startswith(prefix) and name not in wanted and pool.description == _gpus_of(account):
            yield account
