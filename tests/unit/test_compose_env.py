"""`make compose-env`: the .env that docker-compose.yaml reads, and the script that connects its cluster."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from cryptography.fernet import Fernet
from deployfiles import PROJECT, variables_used

_SCRIPT = PROJECT / "deploy" / "compose" / "make_env.py"


def made(path, *more):
    done = subprocess.run([sys.executable, str(_SCRIPT), str(path), *more], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def read(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / ".env"
    assert made(path)[0] == 0
    return path


def test_exactly_what_the_compose_file_asks_for_is_written(written):
    assert read(written).keys() == variables_used((PROJECT / "docker-compose.yaml").read_text("utf-8"))


def test_only_its_owner_reads_the_file_at_no_moment_anybody_else(written):
    assert written.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_never_written_over(written):
    before = written.read_text()
    assert made(written) == (0, f"{written} is kept as it is.\n")
    assert written.read_text() == before


def test_what_an_older_file_lacks_is_named(written):
    written.write_text(
        "API_PORT=1\n" + "".join(f"{name}=x\n" for name in read(written) if name not in ("S3_PORT", "API_PORT"))
    )
    code, stated = made(written)
    assert (code, stated) == (0, f"{written} is kept as it is. It lacks S3_PORT; add them.\n")


def test_no_two_files_share_a_secret(written, tmp_path):
    made(tmp_path / "other")
    one, other = read(written), read(tmp_path / "other")
    shared = {name for name in one if one[name] == other[name]}
    assert shared == {"COMPOSE_PROFILES", "API_PORT", "S3_PORT", "AIRFLOW_USERS", "GPU_PLUGIN_IMAGE", "TRAINYARD_INBOX"}


def test_the_secrets_are_of_the_kind_that_their_readers_want(written):
    values = read(written)
    key = Fernet(values["AIRFLOW_FERNET_KEY"])
    assert key.decrypt(key.encrypt(b"x")) == b"x"
    passwords = json.loads(values["AIRFLOW_PASSWORDS"])
    assert passwords.keys() == {user.partition(":")[0] for user in values["AIRFLOW_USERS"].split(",")}
    assert passwords["service"] == values["SERVICE_PASSWORD"]
    assert "," not in values["S3_ACCESS_KEY"] + values["S3_SECRET_KEY"]
    assert not [name for name, value in values.items() if "$" in value]


def test_the_cluster_with_gpus_is_chosen_by_name_and_another_is_refused(tmp_path):
    assert made(tmp_path / "gpu", "gpu")[0] == 0
    assert read(tmp_path / "gpu")["COMPOSE_PROFILES"] == "gpu"
    code, stated = made(tmp_path / "tpu", "tpu")
    assert (code, stated) == (1, "There is no cluster 'tpu'; there are cpu and gpu.\n")
    assert not (tmp_path / "tpu").exists()


# Stands for the cluster; what only works on files is kubectl's own to do.
_KUBECTL = """#!/bin/sh
case "$*" in
*"get secret"*"ca.crt"*) printf 'an authority' ;;
*"get secret"*)
    [ ! -e {folder}/token ] || cat {folder}/token
    [ -e {folder}/never ] || printf 'a token' >{folder}/token
    ;;
*apply*--filename=-*) cat >{folder}/plugin.yaml ;;
*apply*) echo "$@" >>{folder}/applied ;;
*) exec {kubectl} "$@" ;;
esac
"""


class TestClusterSetup:
    @pytest.fixture
    def setup(self, tmp_path):
        kubectl = shutil.which("kubectl")
        assert kubectl, "make tools installs kubectl"
        (tmp_path / "bin").mkdir()
        stand_in = tmp_path / "bin" / "kubectl"
        stand_in.write_text(_KUBECTL.format(folder=tmp_path, kubectl=kubectl))
        stand_in.chmod(0o755)

        def run(**more):
            environment = {
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "DEPLOY": str(PROJECT / "deploy"),
                "OUT": str(tmp_path),
                "OWNER": f"{os.getuid()}:{os.getgid()}",
                "COMPOSE_PROFILES": "cpu",
                "GPU_PLUGIN_IMAGE": "team/plugin:1.2",
            }
            script = str(PROJECT / "deploy" / "compose" / "cluster-setup")
            return subprocess.run(
                ["sh", script], env={**environment, **more}, capture_output=True, text=True, check=False, timeout=240
            )

        return run

    def test_airflow_gets_a_kubeconfig_with_the_token_of_the_service_account(self, setup, tmp_path):
        done = setup()
        assert done.returncode == 0, done.stderr
        config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
        assert config["clusters"][0]["cluster"]["server"] == "https://k3s:6443"
        assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"an authority"
        assert config["users"] == [{"name": "trainyard", "user": {"token": "a token"}}]
        assert config["contexts"][0]["context"] == {"cluster": "k3s", "user": "trainyard", "namespace": "trainings"}
        assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
        assert f"--kustomize={PROJECT}/deploy/compose/cluster" in (tmp_path / "applied").read_text()
        assert sorted(path.name for path in tmp_path.glob("kubeconfig*")) == ["kubeconfig"]

    def test_the_profile_with_gpus_gets_the_plugin_from_where_the_env_file_says(self, setup, tmp_path):
        assert setup(COMPOSE_PROFILES="gpu").returncode == 0
        plugin = yaml.safe_load((tmp_path / "plugin.yaml").read_text())
        assert [one["image"] for one in plugin["spec"]["template"]["spec"]["containers"]] == ["team/plugin:1.2"]

    def test_a_cluster_that_makes_no_token_is_told(self, setup, tmp_path):
        (tmp_path / "never").touch()
        done = setup(TRIES="1")
        assert done.returncode == 1
        assert "made no token" in done.stderr
        assert not (tmp_path / "kubeconfig").exists()
