"""docker-compose.yaml, as far as it can be checked without an engine: its schema, and what it refers to."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from deployfiles import PROJECT, pinned, variables_used

from trainyard.local.objectkeys import FOLDER, KEY, SECRET
from trainyard.local.objectstore import keyed_objectstore
from trainyard.settings import ROWS

_TEXT = (PROJECT / "docker-compose.yaml").read_text("utf-8")
_COMPOSE: dict[str, Any] = yaml.safe_load(_TEXT)
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
# They do their work and end.
_ONCE = {"migrate", "volume-owner", "cluster-setup"}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Return source -> target of a service's volumes."""
    return dict(mount.split(":")[:2] for mount in service.get("volumes", []))


def test_the_file_fits_the_schema_of_the_compose_specification():
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json")
    found = jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8"))).iter_errors(_COMPOSE)
    assert [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found] == []


class TestReferences:
    """Everything that is named is there, and everything that is there is used."""

    def test_every_volume_is_declared_and_variables_used(self):
        named = {source for service in _SERVICES.values() for source in mounts(service) if not source.startswith(".")}
        assert named == set(_COMPOSE["volumes"])

    def test_of_this_machine_only_the_deploy_folder_is_mounted_and_not_to_write(self):
        found = [mount for service in _SERVICES.values() for mount in service.get("volumes", []) if mount[0] in "./~"]
        assert found == ["./deploy:/deploy:ro"]

    def test_whom_a_service_waits_for_is_there_and_can_become_what_it_is_waited_for(self):
        for name, service in _SERVICES.items():
            for other, how in service.get("depends_on", {}).items():
                awaited = _SERVICES[other]
                assert how["condition"] in ("service_healthy", "service_completed_successfully"), name
                assert (how["condition"] == "service_healthy") == ("healthcheck" in awaited), (name, other)
                assert (other in _ONCE) == ("healthcheck" not in awaited), other

    def test_a_service_of_a_profile_is_never_needed_by_one_without(self):
        for name, service in _SERVICES.items():
            for other, how in service.get("depends_on", {}).items():
                assert not _SERVICES[other].get("profiles") or how.get("required") is False, (name, other)

    def test_services_are_called_by_names_that_they_have(self):
        hosts = set(re.findall(r"(?:http://|@|https://)([a-z][a-z0-9-]+)[:/]", _TEXT)) - {"127.0.0.1"}
        aliases = {alias for one in _SERVICES.values() for net in _networks(one) for alias in net.get("aliases", [])}
        assert hosts <= _SERVICES.keys() | aliases


def _networks(service: dict[str, Any]) -> list[dict[str, Any]]:
    return list(service.get("networks", {}).values())


class TestSafety:
    """What a service may do, and who reaches it."""

    def test_every_image_is_pinned_and_ours_is_never_fetched_from_anywhere(self):
        for name, service in _SERVICES.items():
            assert pinned(service["image"]), name
            assert (service.get("pull_policy") == "never") == service["image"].startswith("trainyard"), name

    def test_our_image_has_the_version_of_the_project(self):
        version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
        assert {s["image"] for s in _SERVICES.values() if s["image"].startswith("trainyard:")} == {
            f"trainyard:{version}"
        }
        assert f"docker build -t trainyard:{version} ." in (PROJECT / "Dockerfile").read_text("utf-8")

    def test_no_port_is_bound_beyond_this_machine(self):
        ports = [port for service in _SERVICES.values() for port in service.get("ports", [])]
        assert ports
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
        assert not [name for name, service in _SERVICES.items() if service.get("network_mode") == "host"]

    def test_the_cluster_alone_is_privileged(self):
        assert {name for name, service in _SERVICES.items() if service.get("privileged")} == {"k3s", "k3s-gpu"}

    def test_what_is_not_privileged_cannot_become_so(self):
        for name, service in _SERVICES.items():
            if not service.get("privileged"):
                assert "no-new-privileges:true" in service["security_opt"], name
                assert name == "postgres" or service["cap_drop"] == ["ALL"], name

    def test_no_secret_is_in_the_file(self):
        for name, service in _SERVICES.items():
            for variable, value in service.get("environment", {}).items():
                if re.search("PASSWORD|SECRET|KEY|TOKEN|CONN_TRAINYARD|SQL_ALCHEMY", variable):
                    assert "${" in value, (name, variable)

    def test_the_password_file_is_the_api_servers_alone(self):
        given = {name for name, service in _SERVICES.items() if "TRAINYARD_PASSWORDS" in service.get("environment", {})}
        assert given == {"api-server"}


class TestParts:
    """The same parts as on the one-machine stack."""

    def test_what_goes_on_running_says_whether_it_is_well(self):
        assert {name for name, service in _SERVICES.items() if "healthcheck" in service} == _SERVICES.keys() - _ONCE
        assert {name for name, service in _SERVICES.items() if service.get("restart") == "unless-stopped"} == (
            _SERVICES.keys() - _ONCE - {"volume-owner"}
        )

    def test_the_object_store_is_served_as_on_the_one_machine_stack(self):
        local, given = keyed_objectstore(Path("rclone"), Path("/objects"), 9000, "KEY", "SECRET")
        assert _SERVICES["objects"]["command"] == [word.replace("127.0.0.1:", ":") for word in local]
        plain = {
            name: re.sub(r"\$\{S3_(ACCESS|SECRET)_KEY:[^}]*\}", lambda found: found[1].replace("ACCESS", "KEY"), value)
            for name, value in _SERVICES["objects"]["environment"].items()
        }
        assert plain == {name: value for name, value in given.items() if name != "PATH"}

    def test_every_part_of_airflow_is_there(self):
        commands = [shlex.join(service["command"]) for service in _SERVICES.values() if service.get("command")]
        for part in ("api-server", "scheduler", "dag-processor", "triggerer", "db migrate"):
            assert any(command.startswith(f"airflow {part}") for command in commands), part

    def test_both_clusters_are_the_same_but_for_the_gpus(self):
        cpu, gpu = _SERVICES["k3s"], _SERVICES["k3s-gpu"]
        differing = {key for key in cpu.keys() | gpu.keys() if cpu.get(key) != gpu.get(key)}
        assert differing == {"profiles", "image", "pull_policy", "command", "deploy"}
        assert gpu["command"] == [*cpu["command"], "--default-runtime=nvidia"]
        assert gpu["image"].rpartition(":")[2] == cpu["image"].rpartition(":")[2]

    def test_catalogue_and_workspace_are_where_the_image_expects_them_in_every_part(self):
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            places = mounts(_SERVICES[name])
            assert places["catalogue"] == "/var/lib/trainyard/catalogue"
            assert places["workspace"] == "/var/lib/trainyard/workspace"

    def test_the_node_sees_the_workspace_where_its_claim_looks_for_it(self):
        objects = yaml.safe_load_all((PROJECT / "deploy/compose/cluster/workspace.yaml").read_text("utf-8"))
        folders = [one["spec"]["hostPath"]["path"] for one in objects if one["kind"] == "PersistentVolume"]
        assert folders == [mounts(_SERVICES["k3s"])["workspace"]]

    def test_every_setting_that_is_given_is_one(self):
        given = {name for service in _SERVICES.values() for name in service.get("environment", {})}
        settings = {row.variable for row in ROWS} | {"TRAINYARD_PASSWORDS", FOLDER, KEY, SECRET}
        assert {name for name in given if name.startswith("TRAINYARD_")} <= settings

    def test_connections_are_json_whatever_the_passwords_are(self):
        given = _SERVICES["scheduler"]["environment"]
        plain = {name: re.sub(r"\$\{[^}]*\}", "x-Y_z", value) for name, value in given.items()}
        assert json.loads(plain["AIRFLOW_CONN_TRAINYARD_FRONT_DOOR"])["password"] == "x-Y_z"
        assert (
            json.loads(plain["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["namespace"] == plain["TRAINYARD_NAMESPACE"]
        )


class TestDocs:
    """docs/deploy-compose.md names everything that is in the file, and nothing else."""

    text = (PROJECT / "docs" / "deploy-compose.md").read_text("utf-8")

    def rows(self, heading: str) -> set[str]:
        part = self.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        firsts = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
        return {name for cell in firsts for name in re.findall(r"`([^`]+)`", cell)}

    def test_every_service_with_its_image_is_explained(self):
        assert self.rows("Services") == _SERVICES.keys()
        for name, service in _SERVICES.items():
            lines = [
                line for line in self.text.splitlines() if line.startswith("| ") and f"`{name}`" in line.split("|")[1]
            ]
            assert any(f"`{service['image']}`" in line for line in lines), name

    def test_every_volume_is_explained(self):
        assert self.rows("Volumes") == set(_COMPOSE["volumes"])

    def test_every_port_is_explained(self):
        ports = {port for service in _SERVICES.values() for port in service.get("ports", [])}
        assert self.rows("Ports") == variables_used(" ".join(ports))

    def test_every_variable_is_explained(self):
        assert self.rows("Variables") == variables_used(_TEXT)


def test_a_missing_env_file_is_told_with_its_hint():
    reported = re.findall(r"\$\{\w+([^}]*)\}", _TEXT)
    assert set(reported) == {":?run make compose-env", "?run make compose-env"}
