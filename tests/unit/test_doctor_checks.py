"""What the doctor makes of what it sees, and how its checks keep out of each other's way."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from memorystore import MemoryStore
from samples import LIMITS

from trainyard.cluster.rights import SERVICE_RIGHTS, verbs_of
from trainyard.doctor import judging
from trainyard.doctor.checks import rights_findings, store_finding
from trainyard.doctor.examining import Check, examine
from trainyard.domain.finding import Finding, fine, line_of
from trainyard.domain.limits import Account
from trainyard.errors import TrainyardError
from trainyard.stores.base import StoreError, Why

PATIENCE = 120


def node(gpus: str | None, ready: str = "True", **spec):
    allocatable = {"cpu": "8"} if gpus is None else {"cpu": "8", "nvidia.com/gpu": gpus}
    conditions = [{"type": "Ready", "status": ready}]
    return {"spec": spec, "status": {"allocatable": allocatable, "conditions": conditions}}


class TestExamining:
    def test_findings_come_in_the_order_of_the_checks_however_long_each_takes(self):
        second_is_done = threading.Event()

        def first(_):
            assert second_is_done.wait(PATIENCE)
            return [fine("first", "")]

        def second(_):
            second_is_done.set()
            return [fine("second", "")]

        found = examine([Check("first", first), Check("second", second)])
        assert [one.check for one in found] == ["first", "second"]

    def test_a_check_that_raises_is_a_line_and_takes_no_other_down(self):
        def broken(_):
            raise ValueError("postgres://user:secret@host")

        def refused(_):
            raise TrainyardError("S200", "the cluster sleeps", "Wake it.")

        found = list(examine([Check("a", broken), Check("b", refused), Check("c", lambda _: [fine("c", "well")])]))
        assert [one.ok for one in found] == [False, False, True]
        assert "ValueError" in found[0].message
        assert "secret" not in str(found)
        assert found[1] == Finding("b", False, "the cluster sleeps", "Wake it.")

    def test_a_check_that_hangs_is_a_line_with_its_limit_and_its_hint(self):
        for_ever = threading.Event()

        def hangs(_):
            for_ever.wait(PATIENCE)
            return []

        found = list(examine([Check("cluster", hangs, seconds=0.1, hint="Shake it."), Check("x", lambda _: [])]))
        for_ever.set()
        assert found == [Finding("cluster", False, "there was no answer within 0.1 seconds", "Shake it.")]

    def test_whoever_stops_listening_waits_until_what_was_made_is_removed(self):
        made, removed = threading.Event(), threading.Event()

        def probe(stop):
            made.set()
            assert stop.wait(PATIENCE)
            removed.set()
            return []

        found = examine([Check("a", lambda _: [fine("a", "")]), Check("probe", probe, 60, tidy_seconds=PATIENCE)])
        next(found)
        assert made.wait(PATIENCE)
        found.close()
        assert removed.is_set()


class TestParts:
    def test_a_part_that_is_not_alive_is_told_with_its_last_heartbeat_and_what_it_means(self):
        beat = "2026-01-01T00:00:00+00:00"
        health = {
            "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:00.669816+00:00"},
            "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": beat},
            "dag_processor": {"status": None, "latest_dag_processor_heartbeat": None},
        }
        scheduler, triggerer, processor = judging.parts(health)
        assert scheduler == fine("scheduler", f"alive, last heartbeat {beat}")
        assert (triggerer.ok, triggerer.message) == (False, f"not alive, last heartbeat {beat}")
        assert "no training ends" in triggerer.hint
        assert (processor.check, processor.message) == ("dag-processor", "not alive, never seen")


_POOLS = {"gpus-a": (4, True), "checks-a": (2, False)}


class TestPools:
    def test_pools_that_are_as_the_quotas_are_well(self):
        (found,) = judging.pools(_POOLS, {**_POOLS, "others": (1, False)})
        assert found.ok

    @pytest.mark.parametrize(
        ("there", "stated"),
        [
            ({"checks-a": (2, False)}, "pool gpus-a is missing"),
            ({**_POOLS, "gpus-a": (9, True)}, "pool gpus-a has 9 slots instead of 4"),
            ({**_POOLS, "gpus-a": (4, False)}, "pool gpus-a does not count deferred tasks"),
            ({**_POOLS, "checks-a": (2, True)}, "pool checks-a counts deferred tasks"),
        ],
    )
    def test_a_pool_that_differs_is_named_with_its_difference(self, there, stated):
        (found,) = judging.pools(_POOLS, there)
        assert (found.ok, found.message) == (False, stated)
        assert "trainyard quota" in found.hint

    def test_a_service_that_was_just_installed_has_none_and_is_well(self):
        others = {"default_pool": (128, False)}
        assert judging.pools(_POOLS, others, unused=True)[0].ok
        assert not judging.pools(_POOLS, others, unused=False)[0].ok
        assert not judging.pools(_POOLS, {"checks-a": (2, False)}, unused=True)[0].ok


class TestTenants:
    _EVERYBODY = replace(LIMITS, accounts={"a": Account("a", 1, ("*",), 1), "b": Account("b", 1, ("*", "ada"), 1)})

    def test_a_cluster_on_which_everybody_is_one_tenant_is_warned_of_and_well(self):
        (found,) = judging.tenants(self._EVERYBODY, on_cluster=True)
        assert (found.ok, found.state) == (True, "warn")
        assert found.message.endswith("everybody is one tenant")
        assert "quotas.yaml" in found.hint

    def test_on_one_machine_it_is_as_it_should_be(self):
        (found,) = judging.tenants(self._EVERYBODY, on_cluster=False)
        assert (found.state, found.hint) == ("ok", "")
        assert "everybody is one tenant" in found.message

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            (("*",), "1 accounts have members of their own; every user is a member of speech"),
            (("grace",), "2 accounts have members of their own"),
        ],
    )
    def test_accounts_with_members_of_their_own_are_well(self, members, message):
        speech = replace(LIMITS.accounts["speech"], members=members)
        limits = replace(LIMITS, accounts={**LIMITS.accounts, "speech": speech})
        assert judging.tenants(limits, on_cluster=True) == [fine("tenants", message)]

    def test_a_warning_comes_over_rest_as_one(self):
        (found,) = judging.tenants(self._EVERYBODY, on_cluster=True)
        assert Finding.from_dict(found.as_dict()) == found
        assert line_of(found).startswith("tenants        warn   every user")
        assert "warning" not in found.as_dict()


class TestGpus:
    def test_quotas_that_fit_are_well(self):
        (found,) = judging.gpus(LIMITS, [node("4"), node("1"), node(None)])
        assert (found.ok, found.message) == (True, "5 GPUs on 2 of 3 nodes, and the accounts own 5")

    @pytest.mark.parametrize("lost", [node("1", ready="Unknown"), node("1", unschedulable=True), node("0"), node(None)])
    def test_quotas_that_are_larger_than_what_takes_pods_are_told(self, lost):
        (found,) = judging.gpus(LIMITS, [node("4"), lost])
        assert not found.ok
        assert found.message.startswith("the quotas are larger than the cluster: 4 GPUs on 1 of 2 nodes")


class TestClocks:
    @pytest.mark.parametrize(
        ("stated", "ahead"), [(1000, 0), (1001, 0), (1002, 0), (1010, 8), (999, 0), (990, -9), (1002.5, 0.5)]
    )
    def test_a_clock_is_ahead_by_what_neither_the_way_nor_whole_seconds_explain(self, stated, ahead):
        assert judging.skew(1000, 1002, stated) == ahead

    def test_a_few_seconds_are_no_fault_and_more_are(self):
        assert judging.clocks({"database": -5, "cluster": 5})[0].ok
        (found,) = judging.clocks({"database": 0, "cluster": -61})
        assert not found.ok
        assert "database +0 s, cluster -61 s" in found.message


class TestRights:
    def test_what_the_user_may_not_is_told(self):
        assert judging.rights("trainings", "ada", [], ["get", "list"]) == [
            fine("rights", "ada may get, list pods in trainings")
        ]
        (found,) = judging.rights("trainings", "ada", ["list"], ["get", "list"])
        assert (found.ok, found.message) == (False, "ada may not list pods in trainings")

    def test_what_some_runs_alone_need_is_told_with_these_runs_where_it_is_lacking(self):
        lacking = judging.further_rights("trainings", "ada", ["create", "delete"], "services", "runs of many")
        assert [(one.ok, one.message) for one in lacking] == [
            (False, "ada may not create, delete services in trainings, so that runs of many fail")
        ]
        assert judging.further_rights("trainings", "ada", [], "services", "runs of many") == []

    def test_a_user_that_may_not_make_services_is_asked_for_and_told(self):
        class Cluster:
            def user(self):
                return "system:serviceaccount:airflow:airflow-worker"

            def refused(self, verbs, resource="pods"):
                return [verb for verb in verbs if resource == "services" and verb != "list"]

        pods, services = rights_findings(Cluster(), "trainings")
        assert pods.ok
        assert "may not create, delete services in trainings, so that runs of several learners fail" in services.message

    def test_the_steps_alone_make_list_and_remove_the_services_of_learners(self):
        account = "system:serviceaccount:airflow:airflow-"
        assert verbs_of(f"{account}worker", SERVICE_RIGHTS) == ("create", "delete", "list")
        assert verbs_of(f"{account}triggerer", SERVICE_RIGHTS) == verbs_of(f"{account}api-server", SERVICE_RIGHTS) == ()
        assert verbs_of("my-worker", SERVICE_RIGHTS) == ("create", "delete", "list")

    @pytest.mark.parametrize(
        ("user", "verbs"),
        [
            ("system:serviceaccount:airflow:airflow-api-server", ("list",)),
            ("system:serviceaccount:airflow:airflow-worker", ("create", "delete", "get", "list")),
            ("system:serviceaccount:trainings:trainyard", ("create", "delete", "get", "list", "watch")),
            ("my-worker", ("create", "delete", "get", "list", "watch")),
            ("", ("create", "delete", "get", "list", "watch")),
        ],
    )
    def test_a_process_with_a_user_of_its_own_needs_its_own_verbs_and_a_shared_one_all(self, user, verbs):
        assert verbs_of(user) == verbs


class TestStores:
    def test_a_store_that_lists_is_well_even_if_it_is_empty(self):
        assert store_finding("store", MemoryStore).ok

    def test_a_store_that_refuses_is_told_in_its_own_words(self):
        def refuses():
            raise StoreError(Why.NO_BUCKET, "there is no bucket x", "Make it.")

        assert store_finding("inbox", refuses) == Finding("inbox", False, "there is no bucket x", "Make it.")


def test_a_finding_is_a_line_in_columns_with_its_hint_below():
    lines = [line_of(fine("dag-processor", "alive")), *line_of(Finding("gpus", False, "none", "Add.")).splitlines()]
    assert lines == [
        "dag-processor  ok     alive",
        "gpus           wrong  none",
        "                      -> Add.",
    ]


def test_a_finding_survives_its_way_as_data_and_what_a_newer_service_adds():
    found = Finding("gpus", False, "none", "Add.")
    assert Finding.from_dict({**found.as_dict(), "newer": 1}) == found
    assert not Finding.from_dict({}).ok
