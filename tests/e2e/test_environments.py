"""What a program does to its Python, its process group and its folders, and what the run says of it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from yard import Yard

pytestmark = pytest.mark.xdist_group("stack")

COMMAND = "python3 train.py --epochs 3"
# Builds a package with a module that the service has too, as a distribution of another version, and installs it.
INSTALLS = """
import getpass, importlib.metadata, os, pathlib, subprocess, sys
source = pathlib.Path(os.environ["HOME"], "source")
source.mkdir()
(source / "sqlalchemy.py").write_text("VALUE = 41")
(source / "setup.py").write_text(
    "from setuptools import setup; setup(name='SQLAlchemy', version='0.0.1', py_modules=['sqlalchemy'])")
flags = ["--quiet", "--no-index", "--no-build-isolation"]
for more in ([], ["--user"]):
    subprocess.run(["pip", "install", *flags, *more, str(source)], check=True)
    subprocess.run([sys.executable, "-c", "import sqlalchemy; print('value', sqlalchemy.VALUE)"], check=True)
    subprocess.run(["pip", "uninstall", "--quiet", "--yes", "SQLAlchemy"], check=True)
print("user", getpass.getuser(), "framework", importlib.metadata.version("scikit-learn"))
"""
KILLS_ITS_GROUP = """
import os, signal, subprocess
subprocess.Popen(["sleep", "60"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(os.getpgrp(), signal.SIGTERM)
print("finished")
"""
REMOVES_ITS_FOLDER = (
    "import os, shutil\nshutil.rmtree(os.environ['RESULT_DIR'])\nos.makedirs(os.environ['RESULT_DIR'])\n"
)


@pytest.fixture(scope="module")
def installing(yard: Yard) -> str:
    return yard.submit("fails-with-3", program=INSTALLS)


@pytest.fixture(scope="module")
def killing(yard: Yard) -> str:
    return yard.submit("fails-with-3", program=KILLS_ITS_GROUP)


@pytest.fixture(scope="module")
def removing(yard: Yard) -> str:
    return yard.submit("fails-with-3", program=REMOVES_ITS_FOLDER)


@pytest.fixture(scope="module")
def leaving(yard: Yard) -> str:
    def change(manifest: str) -> str:
        return manifest.replace(COMMAND, "nohup sleep 60 >/dev/null 2>&1 & python3 -c 1")

    return yard.submit("fails-with-3", change=change)


@pytest.fixture(scope="module")
def custom(yard: Yard) -> str:
    def change(manifest: str) -> str:
        return (
            manifest.replace("scikit-learn", "custom")
            .replace("'1.9'", "example.com/team/net:3")
            .replace(COMMAND, "echo done")
        )

    return yard.submit("fails-with-3", change=change)


# A package that builds itself, so that no index is asked.
PROJECT_FILE = """
[build-system]
requires = []
build-backend = "own"
backend-path = ["."]
[project]
name = "planted-package"
version = "1.5"
"""
BACKEND = """
import os, zipfile
def build_wheel(folder, settings=None, metadata=None):
    about = "planted_package-1.5.dist-info"
    files = {
        "planted.py": "VERSION = '1.5'",
        f"{about}/METADATA": "Metadata-Version: 2.1\\nName: planted-package\\nVersion: 1.5\\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(os.path.join(folder, "planted_package-1.5-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "planted_package-1.5-py3-none-any.whl"
"""
USES = "import planted, sklearn; print('planted', planted.VERSION)"


def _from_folder(yard: Yard, requirements: str) -> str:
    """Submit a folder in the place of a zip, with requirements of its own and the manifest inside it."""
    manifest, _ = yard.files(
        "fails-with-3", lambda text: text.replace(COMMAND, f'python -c "{USES}"') + "env: {PIP_NO_INDEX: 1}\n"
    )
    folder = manifest.parent / "work"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "pyproject.toml").write_text(PROJECT_FILE)
    (folder / "package" / "own.py").write_text(BACKEND)
    (folder / "requirements.txt").write_text(requirements)
    inside = manifest.rename(folder / "manifest.yml")
    model_id: str = yard.data("train", str(inside), str(folder))["model_id"]
    return model_id


@pytest.fixture(scope="module")
def requiring(yard: Yard) -> str:
    return _from_folder(yard, "./package\nscikit-learn\n")


@pytest.fixture(scope="module")
def missing(yard: Yard) -> str:
    return _from_folder(yard, "no-such-package==9.9\n")


@pytest.fixture(scope="module", autouse=True)
def _all_at_once(
    installing: str, killing: str, removing: str, leaving: str, custom: str, requiring: str, missing: str
) -> None:
    """Let them run side by side: each test waits for its own."""


def test_what_a_training_installs_never_reaches_the_service(yard: Yard, installing: str) -> None:
    run = yard.finished(installing)
    log = yard.trainyard("logs", installing).stdout
    assert run["state"] == "completed", log
    assert log.count("value 41") == 2
    assert "user trainyard framework 1.9" in log
    found = [sys.executable, "-c", "import sqlalchemy; print(sqlalchemy.__version__)"]
    assert subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip() == version("SQLAlchemy")


def test_a_program_that_signals_its_own_process_group_is_completed(yard: Yard, killing: str) -> None:
    assert yard.finished(killing)["state"] == "completed"
    assert "finished" in yard.trainyard("logs", killing).stdout


def test_a_program_that_removes_its_result_folder_is_told_that_it_is_a_mount_point(yard: Yard, removing: str) -> None:
    outcome = yard.finished(removing)["outcome"]
    if outcome["code"] is not None:  # where containers have no mounts, the folder is one like any other
        assert "mount point" in outcome["message"]
        assert "inside" in outcome["hint"]


def test_a_completed_run_says_what_its_end_cut_off(yard: Yard, leaving: str) -> None:
    run = yard.finished(leaving)
    assert run["state"] == "completed"
    assert "the command ended before 1 of its processes (sleep 60)" in run["outcome"]["message"]
    assert "Warning        the command ended before" in yard.trainyard("show", leaving).stdout
    assert "warning: the command ended before" in yard.trainyard("logs", leaving).stdout


def test_an_image_that_one_machine_does_not_run_is_named_by_the_run(yard: Yard, custom: str) -> None:
    run = yard.finished(custom)
    assert run["state"] == "completed"
    assert "the image example.com/team/net:3 was not run" in run["outcome"]["message"]
    assert "example.com/team/net:3" in yard.trainyard("logs", custom).stdout


def test_the_requirements_of_a_folder_are_installed_before_its_program_starts(yard: Yard, requiring: str) -> None:
    run = yard.finished(requiring)
    log = yard.trainyard("logs", requiring).stdout
    assert (run["state"], log.splitlines()[-1]) == ("completed", "planted 1.5"), log
    assert "trainyard: installing requirements.txt" in log
    assert "manifest.yml" not in yard.trainyard("download", requiring).stdout
    assert list((yard.folder / "workspace" / "environments" / run["account"]).glob("*/ready"))


def test_requirements_that_cannot_be_installed_end_the_run_with_pips_own_sentence(yard: Yard, missing: str) -> None:
    outcome = yard.finished(missing)["outcome"]
    assert (outcome["code"], outcome["exit_code"]) == ("C102", 74)
    sentence = "ERROR: No matching distribution found for no-such-package==9.9"
    assert outcome["message"].endswith(f"requirements.txt could not be installed: {sentence}")
    assert "requirements: false" in outcome["hint"]
