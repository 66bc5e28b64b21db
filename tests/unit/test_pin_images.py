"""Digests behind the tags of the images in deploy/: asked of the registry, never made up."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from deployfiles import PROJECT

from localkube.images import problem_of
from trainyard.manifest.limits import load_limits

_SCRIPT = PROJECT / "deploy" / "image" / "pin.py"
_PIN = runpy.run_path(str(_SCRIPT))
_DIGEST = f"sha256:{'0a' * 32}"
_FILES = (
    "Dockerfile",
    "docker-compose.yaml",
    "deploy/compose/gpu-plugin.yaml",
    "deploy/compose/k3s-gpu.Dockerfile",
    "include/config/frameworks.yaml",
)
_DOCKER = """#!/bin/sh
case "$*" in
*postgres*) echo '{"digest": "%s"}' ;;
*) echo "no such manifest" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize("name", _FILES)
def test_every_fetched_image_of_the_shipped_files_is_found_once_and_pinned(name):
    text = (PROJECT / name).read_text("utf-8")
    found = list(_PIN["unpinned"](text))
    assert found
    pinned = _PIN["pinned"](text, lambda _: _DIGEST)
    assert list(_PIN["unpinned"](pinned)) == []
    assert _PIN["pinned"](pinned, lambda _: "sha256:other") == pinned
    assert pinned.replace(f"@{_DIGEST}", "") == text
    assert pinned.count(_DIGEST) == len(found)


def test_make_pins_the_files_that_name_images():
    (line,) = [line for line in (PROJECT / "Makefile").read_text("utf-8").splitlines() if line.startswith("IMAGES :=")]
    assert set(line.split()[2:]) == set(_FILES)


def test_a_framework_may_name_a_digest_and_trains_in_that_image(tmp_path):
    text = (PROJECT / "include/config/frameworks.yaml").read_text("utf-8")
    (tmp_path / "frameworks.yaml").write_text(_PIN["pinned"](text, lambda _: _DIGEST))
    found = load_limits(tmp_path / "frameworks.yaml", None, None).framework("tensorflow", "2.20")
    assert found is not None
    assert found.image == f"tensorflow/tensorflow:2.20.0-gpu@{_DIGEST}"
    assert problem_of(found.image, "IfNotPresent", ()) is None


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_SCRIPT), *words]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_what_the_registry_knows_is_written_and_the_rest_is_named_and_kept(tmp_path):
    docker, file = tmp_path / "docker", tmp_path / "compose.yaml"
    docker.write_text(_DOCKER % _DIGEST)
    docker.chmod(0o755)
    file.write_text("  image: postgres:17.6\n  image: rancher/k3s:v1\n  image: trainyard:0.1.0\n")
    done = run(tmp_path, str(file))
    assert file.read_text() == f"  image: postgres:17.6@{_DIGEST}\n  image: rancher/k3s:v1\n  image: trainyard:0.1.0\n"
    assert done.returncode == 1
    assert done.stdout == f"{file}: rancher/k3s:v1 has no digest\n"
    assert "rancher/k3s:v1: not found" in done.stderr


def test_without_docker_nothing_is_changed(tmp_path):
    file = tmp_path / "Dockerfile"
    file.write_text("FROM python:3.11 AS packages\n")
    assert run(tmp_path, str(file)).returncode == 1
    assert file.read_text() == "FROM python:3.11 AS packages\n"


def test_the_check_looks_nothing_up(tmp_path):
    file = tmp_path / "Dockerfile"
    file.write_text(f"FROM python:3.11@{_DIGEST} AS packages\n")
    assert run(tmp_path, "--check", str(file)).returncode == 0
