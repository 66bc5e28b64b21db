"""What is in deploy/: built by kustomize as `kubectl apply -k` builds it, against Kubernetes' schemas and the code."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from typing import Any

import kubeschemas
import pytest
import yaml
from deployfiles import PROJECT, pinned
from hypothesis import given
from hypothesis import strategies as st
from pod_samples import SMALL
from pod_standard import violations

from trainyard.cluster.names import priority_class
from trainyard.cluster.quotas import quota_objects
from trainyard.cluster.spec import training_pod
from trainyard.domain.limits import Account
from trainyard.manifest.limits import load_limits
from trainyard.settings import data_file

_DEPLOY = PROJECT / "deploy"
_VERSIONS = ("1.31", "1.32", "1.33", "1.34")
_BUILDS = ("kubernetes", "compose/cluster")
_ALONE = (
    "kubernetes/examples/doctor.yaml",
    "kubernetes/examples/egress-of-an-account.yaml",
    "compose/gpu-plugin.yaml",
)

Obj = dict[str, Any]


@cache
def built(folder: str) -> tuple[Obj, ...]:
    """Return the objects that kustomize makes of a folder below deploy/."""
    kubectl = shutil.which("kubectl")
    assert kubectl, "make tools installs kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", str(_DEPLOY / folder)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@cache
def plain(file: str) -> tuple[Obj, ...]:
    return tuple(yaml.safe_load_all((_DEPLOY / file).read_text("utf-8")))


def of_kind(objects: tuple[Obj, ...], kind: str) -> list[Obj]:
    return [one for one in objects if one["kind"] == kind]


def named(objects: tuple[Obj, ...], kind: str, name: str) -> Obj:
    (found,) = [one for one in of_kind(objects, kind) if one["metadata"]["name"] == name]
    return found


def policies_of(folder: str, namespace: str, name: str = "") -> list[Obj]:
    """Return the network policies of a namespace, or the one with this name."""
    found = [one["metadata"] | {"policy": one} for one in of_kind(built(folder), "NetworkPolicy")]
    return [one["policy"] for one in found if one["namespace"] == namespace and name in ("", one["name"])]


def titles(objects: tuple[Obj, ...]) -> list[str]:
    return [f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}" for one in objects]


class TestSchemas:
    @pytest.mark.parametrize("version", _VERSIONS)
    @pytest.mark.parametrize("folder", _BUILDS)
    def test_everything_fits_the_schema_of_every_supported_kubernetes(self, folder, version):
        for one in built(folder):
            kubeschemas.check(one, version)

    @pytest.mark.parametrize("version", _VERSIONS)
    @pytest.mark.parametrize("file", _ALONE)
    def test_so_do_the_files_that_are_applied_by_themselves(self, file, version):
        for one in plain(file):
            kubeschemas.check(one, version)

    def test_every_manifest_is_part_of_a_build_or_known_to_be_applied_by_itself(self):
        files = [
            file for file in _DEPLOY.rglob("*.yaml") if file.name != "kustomization.yaml" and file.parent.name != "helm"
        ]
        written = {title for file in files for title in titles(plain(str(file.relative_to(_DEPLOY))))}
        alone = {title for file in _ALONE for title in titles(plain(file))}
        assert written == alone | {title for folder in _BUILDS for title in titles(built(folder))}

    @pytest.mark.parametrize("folder", _BUILDS)
    def test_no_object_is_there_twice(self, folder):
        assert len(set(titles(built(folder)))) == len(built(folder))


class TestNamespace:
    def test_the_restricted_standard_is_enforced_where_trainings_run(self):
        labels = named(built("kubernetes"), "Namespace", "trainings")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert violations(training_pod(SMALL)) == []

    @pytest.mark.parametrize("folder", _BUILDS)
    def test_every_namespace_enforces_a_standard_and_warns_of_what_is_not_restricted(self, folder):
        for one in of_kind(built(folder), "Namespace"):
            labels = one["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] in ("baseline", "restricted")
            assert {labels[f"pod-security.kubernetes.io/{how}"] for how in ("warn", "audit")} == {"restricted"}

    @pytest.mark.parametrize("folder", _BUILDS)
    def test_in_every_namespace_nothing_passes_that_no_policy_allows(self, folder):
        for namespace in of_kind(built(folder), "Namespace"):
            nothing = [one["spec"] for one in policies_of(folder, namespace["metadata"]["name"], "nothing")]
            assert nothing == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]

    def test_no_policy_of_airflow_allows_every_address_or_every_port_outside_of_its_namespace(self):
        for policy in policies_of("kubernetes", "airflow"):
            for rule in [*policy["spec"].get("egress", []), *policy["spec"].get("ingress", [])]:
                peers = rule.get("to") or rule.get("from")
                assert peers, policy["metadata"]["name"]
                assert rule.get("ports") or peers == [{"podSelector": {}}], policy["metadata"]["name"]
                assert {"cidr": "0.0.0.0/0"} not in [peer.get("ipBlock") for peer in peers]

    @pytest.mark.parametrize("folder", _BUILDS)
    def test_everything_that_has_a_namespace_is_in_one_that_is_made(self, folder):
        made = {one["metadata"]["name"] for one in of_kind(built(folder), "Namespace")}
        used = {one["metadata"]["namespace"] for one in built(folder) if "namespace" in one["metadata"]}
        assert used == made

    def test_by_default_a_training_pod_reaches_nothing_and_is_reached_by_nothing(self):
        found = policies_of("kubernetes", "trainings")
        policies = [one for one in found if not one["metadata"]["name"].endswith("-learners")]
        assert all(one["spec"]["podSelector"] == {} for one in policies)
        assert not [one for one in policies if one["spec"].get("ingress")]
        ports = [port for one in policies for rule in one["spec"].get("egress", []) for port in rule["ports"]]
        assert ports == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]

    def test_learners_reach_those_of_their_own_account_alone(self):
        found = policies_of("kubernetes", "trainings")
        policies = [one["spec"] for one in found if one["metadata"]["name"].endswith("-learners")]
        assert len(policies) == len(load_limits().accounts)
        for policy in policies:
            ours = policy["podSelector"]
            assert policy["ingress"] == [{"from": [{"podSelector": ours}]}]
            assert policy["egress"] == [{"to": [{"podSelector": ours}]}]
            account = ours["matchLabels"]["trainyard/account"]
            several = replace(SMALL, plan=replace(SMALL.plan, account=account, learners=2))
            labels = training_pod(several)["metadata"]["labels"]
            assert ours["matchLabels"].items() <= labels.items()
            assert [rule["key"] in labels for rule in ours["matchExpressions"]] == [True]
            alone = training_pod(replace(SMALL, plan=replace(SMALL.plan, account=account)))
            assert not any(rule["key"] in alone["metadata"]["labels"] for rule in ours["matchExpressions"])

    def test_the_services_own_pods_do_not_reach_the_nodes_inside(self):
        rules = named(built("kubernetes"), "NetworkPolicy", "stores")["spec"]["egress"]
        blocks = [to["ipBlock"] for rule in rules for to in rule["to"] if "ipBlock" in to]
        assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0"]
        assert {"169.254.0.0/16", "fe80::/10"} <= {each for block in blocks for each in block["except"]}

    def test_the_example_of_an_accounts_egress_fits_the_label_of_its_pods(self):
        (policy,) = plain("kubernetes/examples/egress-of-an-account.yaml")
        wanted = policy["spec"]["podSelector"]["matchLabels"]
        pod = training_pod(replace(SMALL, plan=replace(SMALL.plan, account="vision")))
        assert wanted.items() <= pod["metadata"]["labels"].items()
        assert policy["metadata"]["namespace"] == "trainings"


class TestRights:
    def test_rights_end_at_the_namespace_of_the_trainings(self):
        for folder in _BUILDS:
            assert not [one for one in built(folder) if one["kind"].startswith("Cluster")]
            for one in [*of_kind(built(folder), "Role"), *of_kind(built(folder), "RoleBinding")]:
                assert one["metadata"]["namespace"] == "trainings"

    def test_the_docs_tell_what_each_role_may(self):
        text = (PROJECT / "docs" / "deploy-kubernetes.md").read_text("utf-8")
        reported = dict(
            re.findall(r"^\| `(trainyard-[a-z-]+)` \| [^|]+ \| ([a-z, ]+) pods[^|]*\|$", text, re.MULTILINE)
        )
        roles = of_kind(built("kubernetes"), "Role")
        assert {name: verbs.split(", ") for name, verbs in reported.items()} == {
            one["metadata"]["name"]: one["rules"][0]["verbs"] for one in roles
        }

    def test_every_role_is_bound_once_to_someone(self):
        for folder in _BUILDS:
            roles = sorted(one["metadata"]["name"] for one in of_kind(built(folder), "Role"))
            bindings = of_kind(built(folder), "RoleBinding")
            assert sorted(one["roleRef"]["name"] for one in bindings) == roles
            assert all(one["subjects"] for one in bindings)

    def test_the_doctors_optional_rights_are_for_processes_that_are_there(self):
        for binding in (one for one in plain("kubernetes/examples/doctor.yaml") if one["kind"].endswith("Binding")):
            assert [s["name"] for s in binding["subjects"]] in (
                ["airflow-api-server"],
                ["airflow-api-server", "airflow-scheduler", "trainyard"],
            )

    def test_in_the_cluster_of_compose_all_of_airflow_is_one_service_account_that_is_there(self):
        (account,) = of_kind(built("compose/cluster"), "ServiceAccount")
        subjects = [s for one in of_kind(built("compose/cluster"), "RoleBinding") for s in one["subjects"]]
        named_so = {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "trainings"}
        assert [s for s in subjects if s != named_so] == []
        token = named(built("compose/cluster"), "Secret", "trainyard-token")
        assert token["metadata"]["annotations"]["kubernetes.io/service-account.name"] == account["metadata"]["name"]


class TestVolumes:
    @pytest.mark.parametrize("folder", _BUILDS)
    def test_every_claim_has_its_own_volume_that_many_may_write(self, folder):
        claims = of_kind(built(folder), "PersistentVolumeClaim")
        assert claims
        for claim in claims:
            volume = named(built(folder), "PersistentVolume", claim["spec"]["volumeName"])["spec"]
            there = {"namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"]}
            assert {key: volume["claimRef"][key] for key in there} == there
            assert volume["accessModes"] == claim["spec"]["accessModes"] == ["ReadWriteMany"]
            assert claim["spec"]["resources"]["requests"]["storage"] == volume["capacity"]["storage"]
        assert len(of_kind(built(folder), "PersistentVolume")) == len(claims)

    def test_workers_and_trainings_see_the_same_workspace(self):
        volumes = of_kind(built("kubernetes"), "PersistentVolume")
        behind = {
            one["spec"]["claimRef"]["namespace"]: one["spec"]["nfs"]
            for one in volumes
            if "workspace" in one["metadata"]["name"]
        }
        assert behind.keys() == {"airflow", "trainings"}
        assert behind["airflow"] == behind["trainings"]

    def test_trainings_see_nothing_else(self):
        claims = of_kind(built("kubernetes"), "PersistentVolumeClaim")
        assert [c["metadata"]["name"] for c in claims if c["metadata"]["namespace"] == "trainings"] == [
            "trainyard-workspace"
        ]


def test_the_plugin_of_the_gpu_profile_is_pinned():
    (plugin,) = plain("compose/gpu-plugin.yaml")
    assert all(pinned(one["image"]) for one in plugin["spec"]["template"]["spec"]["containers"])


class TestQuotas:
    def test_the_file_is_what_make_quotas_writes_from_the_shipped_quotas(self):
        script = runpy.run_path(str(_DEPLOY / "kubernetes" / "quotas" / "make_quotas.py"))
        written = (_DEPLOY / "kubernetes" / "quotas" / "accounts.yaml").read_text("utf-8")
        assert written == script["text"](data_file("config/quotas.yaml"))

    def test_each_account_may_hold_the_gpus_that_it_owns(self):
        accounts = yaml.safe_load(data_file("config/quotas.yaml").read_text("utf-8"))["accounts"]
        for account in accounts:
            quota = named(built("kubernetes"), "ResourceQuota", priority_class("trainyard-", account["name"]))
            assert quota["spec"]["hard"] == {"requests.nvidia.com/gpu": str(account["gpus"])}

    def test_the_prefix_is_the_one_that_the_services_are_given(self):
        compose = (PROJECT / "docker-compose.yaml").read_text("utf-8")
        helm = (_DEPLOY / "helm" / "values.yaml").read_text("utf-8")
        assert "TRAINYARD_POD_PRIORITY_PREFIX: trainyard-\n" in compose
        assert "{name: TRAINYARD_POD_PRIORITY_PREFIX, value: trainyard-}" in helm

    def test_no_account_may_end_anothers_trainings(self):
        classes = of_kind(built("kubernetes"), "PriorityClass")
        assert {(one["value"], one["preemptionPolicy"]) for one in classes} == {(0, "Never")}
        assert not any(one.get("globalDefault") for one in classes)


_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)


def counted(quota: Obj, pod: Obj) -> bool:
    """Say whether a quota counts a pod, as Kubernetes decides by the class."""
    (rule,) = quota["spec"]["scopeSelector"]["matchExpressions"]
    name = pod["spec"].get("priorityClassName")
    return name in rule["values"] if rule["operator"] == "In" else name is None


@given(st.lists(_NAMES, min_size=1, max_size=6, unique=True), st.data())
def test_whatever_accounts_are_called_each_pod_is_counted_once_and_for_its_own(names, data):
    accounts = [Account(name, index, ("*",), 1) for index, name in enumerate(names)]
    objects = tuple(quota_objects(accounts, "trainyard-", "trainings"))
    for one in objects:
        kubeschemas.check(one, data.draw(st.sampled_from(_VERSIONS)))
    account = data.draw(st.sampled_from(accounts))
    plan = replace(SMALL.plan, account=account.name)
    pod = training_pod(replace(SMALL, plan=plan, priority_class=priority_class("trainyard-", account.name)))
    (quota,) = [one for one in of_kind(objects, "ResourceQuota") if counted(one, pod)]
    assert quota["spec"]["hard"] == {"requests.nvidia.com/gpu": str(account.gpus)}
    made = [one["metadata"]["name"] for one in of_kind(objects, "PriorityClass")]
    assert pod["spec"]["priorityClassName"] in made
    assert len(set(made)) == len(names)


@given(_NAMES)
def test_the_name_of_a_class_is_one_that_kubernetes_takes(name):
    made = priority_class("trainyard-", name)
    assert len(made) <= 253
    assert all(part and part[0].isalnum() and part[-1].isalnum() for part in made.split("."))
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    ("one", "other"), [("Vision", "vision"), ("a.b", "a-b"), ("a_b", "a.b"), ("a--b", "a-b"), ("a-", "a")]
)
def test_accounts_whose_names_differ_little_have_classes_of_their_own(one, other):
    assert priority_class("t-", one) != priority_class("t-", other)


def test_without_a_prefix_pods_have_no_class():
    assert priority_class("", "vision") == ""


def test_a_pod_that_is_no_accounts_gets_no_gpu():
    quotas = of_kind(tuple(quota_objects([], "trainyard-", "trainings")), "ResourceQuota")
    (orphaned,) = [one for one in quotas if counted(one, training_pod(SMALL))]
    assert orphaned["spec"]["hard"] == {"requests.nvidia.com/gpu": "0"}
