"""The values for Airflow's chart, against the code and the manifests; against the chart itself where it is at hand."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deployfiles import PROJECT, environment
from pod_standard import violations

from trainyard.cluster.run import WorkspaceVolume
from trainyard.settings import ROWS, read_settings

_HELM = PROJECT / "deploy" / "helm"
_EXECUTORS = {"local": "LocalExecutor", "celery": "CeleryExecutor", "kubernetes": "KubernetesExecutor"}
_VALUES: dict[str, Any] = yaml.safe_load((_HELM / "values.yaml").read_text("utf-8"))


def overlay(executor: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_HELM / f"executor-{executor}.yaml").read_text("utf-8"))
    return found


def merged(base: Any, upper: Any) -> Any:
    """Put one values file over another as Helm does: maps are merged, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(upper, dict)):
        return upper
    return {**base, **{key: merged(base.get(key), value) for key, value in upper.items()}}


def given() -> dict[str, str]:
    """Return the variables that all processes get."""
    return {one["name"]: one["value"] for one in _VALUES["env"]}


def test_there_is_a_file_for_each_executor_and_no_other():
    files = {path.name for path in _HELM.glob("*.yaml")}
    assert files == {"values.yaml", *(f"executor-{name}.yaml" for name in _EXECUTORS)}


@pytest.mark.parametrize("name", _EXECUTORS)
def test_the_chart_and_airflow_are_told_the_same_executor(name):
    values = merged(_VALUES, overlay(name))
    extra = {one["name"]: one["value"] for one in yaml.safe_load(values.get("extraEnv", "[]"))}
    assert values["executor"] == _EXECUTORS[name]
    # The image brings the patched LocalExecutor, unless the environment says otherwise.
    assert extra.get("AIRFLOW__CORE__EXECUTOR", "LocalExecutor") == _EXECUTORS[name]


@pytest.mark.parametrize("name", _EXECUTORS)
def test_no_executors_file_drops_what_the_common_one_gives(name):
    lists = {key for key, value in _VALUES.items() if isinstance(value, list)}
    assert not lists & overlay(name).keys()


def test_versions_are_those_of_the_project():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert _VALUES["defaultAirflowTag"] == version
    assert f"apache-airflow=={_VALUES['airflowVersion']}\n" in (PROJECT / "requirements.in").read_text("utf-8")


def test_every_setting_that_is_given_is_one_and_can_be_read():
    settings = {name: value for name, value in given().items() if name.startswith("TRAINYARD_")}
    assert settings.keys() <= {row.variable for row in ROWS}
    read_settings(settings)


def test_pods_mount_the_claim_that_the_manifests_make_in_the_namespace_that_they_make():
    documents = yaml.safe_load_all((PROJECT / "deploy/kubernetes/workspace/workspace.yaml").read_text("utf-8"))
    claims = {
        (one["metadata"]["namespace"], one["metadata"]["name"]) for one in documents if one["kind"].endswith("Claim")
    }
    settings = read_settings(given())
    assert (settings.namespace, WorkspaceVolume.of(settings.workspace_volume, "").claim) in claims
    assert json.loads(given()["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["namespace"] == settings.namespace


def test_volumes_are_claims_that_are_made_and_lie_where_the_image_looks():
    made = {
        one["metadata"]["name"]
        for file in (PROJECT / "deploy/kubernetes/workspace").glob("*.yaml")
        for one in yaml.safe_load_all(file.read_text("utf-8"))
        if one["kind"] == "PersistentVolumeClaim" and one["metadata"]["namespace"] == "airflow"
    }
    claims = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in _VALUES["volumes"]}
    assert {*claims.values(), _VALUES["logs"]["persistence"]["existingClaim"]} == made
    places = {claims[one["name"]]: one["mountPath"] for one in _VALUES["volumeMounts"]}
    image = environment()
    assert places == {
        "trainyard-catalogue": image["TRAINYARD_CATALOGUE"],
        "trainyard-workspace": image["TRAINYARD_WORKSPACE"],
    }


def test_service_accounts_that_have_rights_are_those_of_a_release_called_airflow():
    documents = yaml.safe_load_all((PROJECT / "deploy/kubernetes/trainings/rights.yaml").read_text("utf-8"))
    bound = {s["name"] for one in documents if one["kind"] == "RoleBinding" for s in one["subjects"]}
    assert bound == {f"airflow-{part}" for part in ("api-server", "scheduler", "triggerer", "worker")}
    assert "helm upgrade --install airflow " in (_HELM / "values.yaml").read_text("utf-8")
    assert not {"fullnameOverride", "nameOverride", "useStandardNaming"} & _VALUES.keys()


def test_airflows_pods_are_as_the_restricted_standard_wants_them():
    contexts = _VALUES["securityContexts"]
    containers = [{"name": "scheduler", "image": "trainyard", "securityContext": contexts["containers"]}]
    assert violations({"spec": {"securityContext": contexts["pod"], "containers": containers}}) == []
    assert contexts["pod"]["runAsUser"] == _VALUES["uid"]


def test_no_secret_is_in_the_values():
    named = [_VALUES[key] for key in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")]
    assert all(named)
    assert not {"fernetKey", "apiSecretKey", "jwtSecret"} & _VALUES.keys()
    text = "".join(path.read_text("utf-8") for path in _HELM.glob("*.yaml"))
    assert "password" not in text.lower().replace("trainyard_passwords", "").replace("key: passwords", "")


def test_users_are_written_down_for_the_auth_manager_that_the_image_has():
    users = {user.partition(":")[0] for user in given()["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(",")}
    assert users == {"admin", "service"}
    assert _VALUES["createUserJob"] == {"enabled": False}


@pytest.mark.skipif("AIRFLOW_CHART" not in os.environ, reason="AIRFLOW_CHART names no unpacked chart")
@pytest.mark.parametrize("name", _EXECUTORS)
def test_the_values_fit_the_charts_schema(name):
    schema = json.loads((Path(os.environ["AIRFLOW_CHART"]) / "values.schema.json").read_text("utf-8"))
    jsonschema.validate(merged(_VALUES, overlay(name)), schema)
