"""The wheel of the command line and the Python API: what it holds, and that it works alone, on any system."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # one worker makes what its tests share

_PROJECT = Path(__file__).resolve().parents[2]
_EXAMPLE = _PROJECT / "examples" / "fails-with-3"
_UV = Path(sys.executable).with_name("uv")
# What Linux alone, or Unix alone, has.
_UNIX = ("fcntl", "grp", "pwd", "resource", "termios", "pty", "tty")
_SERVICE = (
    "airflow",
    "api",
    "cluster",
    "core",
    "doctor",
    "inbox",
    "local",
    "notify",
    "steps",
    "stores",
    "tracking",
    "web",
    "workspace",
)


def _run(*command: str | Path, folder: Path = _PROJECT) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINYARD_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        _UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, "."
    )
    (found,) = folder.glob("*.whl")
    return found


def test_it_is_for_every_system_and_holds_nothing_of_the_service(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"trainyard/cli/main.py", "trainyard/client/client.py", "trainyard/_data/schemas/manifest.schema.json"} <= {
        *names
    }
    assert not [name for name in names if name.startswith(tuple(f"trainyard/{part}/" for part in _SERVICE))]


def test_every_part_of_the_project_is_either_in_it_or_known_to_be_the_services(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    parts = {path.name for path in (_PROJECT / "include" / "trainyard").iterdir() if (path / "__init__.py").is_file()}
    assert {name.split("/")[1] for name in names if name.count("/") > 1} & parts == parts - {*_SERVICE}


def test_it_works_in_an_environment_of_its_own(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    _run(_UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    _run(_UV, "pip", "install", "--quiet", "--python", python, wheel)
    command = python.with_name("trainyard")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.write(_EXAMPLE / "model" / "train.py", "train.py")
    text = (_EXAMPLE / "manifest.yml").read_text().replace("<auth-url>", "https://s3.example.com")
    (tmp_path / "job.yml").write_text(text.replace("<username>", "me").replace("<password>", "key"))
    version = _run(command, "--version", folder=tmp_path)
    checked = _run(command, "validate", "job.yml", "model.zip", folder=tmp_path)
    stated = _run(python, "-c", "from trainyard import Client, Run, TrainyardError; print(Client)", folder=tmp_path)
    assert version == f"trainyard {wheel.name.split('-')[1]}\n"
    assert "Validate successful" in checked
    assert stated == "<class 'trainyard.client.client.Client'>\n"
    found = "import importlib.util as u; print([u.find_spec(name) for name in ('airflow', 'fastapi', 'kubernetes')])"
    assert _run(python, "-c", found, folder=tmp_path) == "[None, None, None]\n"


def test_nothing_that_one_system_alone_has_is_imported_by_it():
    block = f"import sys; sys.modules.update(dict.fromkeys({_UNIX!r}))"
    names = [
        path.relative_to(_PROJECT / "include").with_suffix("").as_posix().replace("/", ".")
        for part in ("cli", "client", "answers", "manifest", "domain")
        for path in sorted((_PROJECT / "include" / "trainyard" / part).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    imports = "\n".join(f"import {name}" for name in ["trainyard", *names])
    _run(sys.executable, "-c", f"{block}\n{imports}\nfrom trainyard import Client, Run, TrainyardError")


def test_importing_the_package_costs_nothing():
    loaded = _run(sys.executable, "-c", "import sys, trainyard; print(*sys.modules)").split()
    assert not {name for name in loaded if name.startswith("trainyard.")} | ({"httpx", "pydantic"} & set(loaded))
