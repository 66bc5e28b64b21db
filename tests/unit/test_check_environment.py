"""What `make setup` finds wrong with an environment before it fixes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainyard.local.environment import PROJECT

LOCK = "alpha-one==1.0\n    # via beta\nbeta==2.0 ; python_version < '4'\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text(LOCK)
    folder = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    for name, version in (("alpha_one", "1.0"), ("beta", "2.0"), ("pip", "1")):
        put(folder, name, version)
    return folder


def put(packages: Path, name: str, version: str) -> None:
    record = packages / f"{name}-{version}.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    (packages / f"{name}.py").write_text("VALUE = 1\n")
    record.write_text(f"{name}.py,sha256=x,10\n__pycache__/{name}.cpython-311.pyc,,\n{record.parent.name}/RECORD,,\n")


def faults(packages: Path, *besides: str) -> list[str]:
    root = packages.parents[3]
    script = PROJECT / "scripts" / "check-environment"
    command = [sys.executable, "-I", str(script), str(root / "env"), str(root / "requirements.txt"), *besides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert bool(done.returncode) == bool(done.stdout)
    return done.stdout.split()


def test_an_environment_that_is_as_its_lock_says_has_no_fault(packages):
    assert faults(packages) == []


def test_another_version_is_a_fault(packages):
    (packages / "beta-2.0.dist-info").rename(packages / "beta-2.1.dist-info")
    assert faults(packages) == ["beta"]


def test_a_package_that_is_missing_or_too_much_is_a_fault(packages):
    (packages / "beta-2.0.dist-info").rename(packages / "gamma-2.0.dist-info")
    assert faults(packages) == ["beta", "gamma"]
    assert faults(packages, "delta") == ["beta", "delta", "gamma"]


@pytest.mark.parametrize("text", ["VALUE = 1\nbroken\n", None])
def test_a_changed_or_missing_file_is_a_fault(packages, text):
    file = packages / "alpha_one.py"
    file.unlink() if text is None else file.write_text(text)
    assert faults(packages) == ["alpha-one"]
