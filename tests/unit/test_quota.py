"""What the accounts use: GPUs held, GPUs waited for, GPU hours of the last days."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from samples import LIMITS

from trainyard.airflow.app import App
from trainyard.core.accounts import Caller
from trainyard.core.quota import Quotas, Share, follow_quotas, usages
from trainyard.errors import TrainyardError

NOW = 1_700_000_000.0
DAY = 24 * 3600.0


def _usage(*shares, since=0.0):
    return {usage.account: usage for usage in usages(LIMITS.accounts.values(), shares, since)}


def test_gpus_are_used_from_when_they_are_held_and_waited_for_until_then():
    usage = _usage(
        Share("vision", 2, holding=True),
        Share("vision", 1, waiting=True),
        Share("vision", 3, waiting=True),
        Share("vision", 4, ended_at=NOW),
    )["vision"]
    assert (usage.gpus, usage.used, usage.waiting_runs, usage.waiting_gpus) == (4, 2, 2, 4)


def test_a_run_without_a_gpu_neither_uses_nor_waits_for_one():
    usage = _usage(Share("vision", 0, holding=True), Share("vision", 0, waiting=True))["vision"]
    assert (usage.used, usage.waiting_runs) == (0, 0)


def test_every_account_has_its_own_figures():
    found = _usage(Share("vision", 1, holding=True, gpu_seconds=1800.0))
    assert (found["vision"].gpu_hours, found["speech"].gpu_hours, found["speech"].used) == (0.5, 0.0, 0)


@pytest.mark.parametrize(
    ("started", "ended", "seconds"),
    [
        (100.0, 200.0, 400.0),
        (0.0, 200.0, 200.0),
        (-100.0, 100.0, 0.0),
        (None, None, 400.0),
        (50.0, 50.0, 0.0),
        (50.0, 20.0, 0.0),
    ],
)
def test_of_a_run_that_began_before_the_week_only_what_lies_in_it_counts(started, ended, seconds):
    share = Share("vision", 2, gpu_seconds=400.0, started_at=started, ended_at=ended)
    assert share.seconds_since(100.0) == seconds


@pytest.mark.parametrize(
    ("caller", "accounts"),
    [
        (Caller("ada"), ["vision"]),
        (Caller("grace"), ["vision", "speech"]),
        (Caller("mallory"), []),
        (Caller("root", admin=True), ["vision", "speech"]),
    ],
)
def test_members_see_their_accounts_and_an_admin_all(caller, accounts):
    asked, synced = [], []
    quotas = Quotas(lambda: LIMITS, lambda since: asked.append(since) or [], synced.append, lambda: NOW)
    assert [usage.account for usage in quotas.of(caller)] == accounts
    assert asked == [NOW - 7 * DAY]
    assert synced == []


def test_an_admin_alone_syncs_the_pools_with_the_quotas():
    synced = []
    quotas = Quotas(lambda: LIMITS, lambda since: [], synced.append, lambda: NOW)
    assert [usage.account for usage in quotas.sync(Caller("root", admin=True))] == ["vision", "speech"]
    with pytest.raises(TrainyardError, match="only an admin syncs the pools"):
        quotas.sync(Caller("ada"))
    assert synced == [LIMITS]


def test_pools_follow_the_quotas_at_the_first_look_and_when_these_change():
    vision = replace(LIMITS.accounts["vision"], gpus=16)
    raised = replace(LIMITS, accounts={**LIMITS.accounts, "vision": vision})
    files, prepared = [LIMITS], []
    look = follow_quotas(lambda: files[-1], prepared.append)
    assert look() is look() is LIMITS
    files.append(raised)
    assert look() is look() is raised
    assert prepared == [LIMITS, raised]


def test_pools_that_could_not_follow_do_so_at_the_next_look():
    prepared = []

    def prepare(limits):
        prepared.append(limits)
        if len(prepared) == 1:
            raise OSError("the database is locked")

    look = follow_quotas(lambda: LIMITS, prepare)
    with pytest.raises(OSError, match="locked"):
        look()
    look()
    assert len(prepared) == 2


def test_a_quotas_file_that_is_edited_is_read_again_without_a_restart(tmp_path):
    from trainyard.settings import read_settings

    file = tmp_path / "quotas.yaml"
    settings = read_settings({"TRAINYARD_QUOTAS_FILE": str(file)})

    def written(gpus: int, at: int) -> int:
        file.write_text(f"accounts: [{{name: vision, gpus: {gpus}, members: [ada], max_hours: 1}}]")
        os.utime(Path(file), (at, at))
        return App(settings).limits().accounts["vision"].gpus

    assert [written(1, 1), written(3, 2)] == [1, 3]
