"""The image, as far as it can be checked without building it: what goes in, and that Airflow runs from that alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deployfiles import PROJECT, copies, environment, instructions, last_stage, pinned, sent, unpack

from trainyard.settings import read_settings

_DOCKERFILES = [PROJECT / "Dockerfile", PROJECT / "deploy" / "compose" / "k3s-gpu.Dockerfile"]


@pytest.mark.parametrize(
    "image", ["python", "python:latest", "registry.example/python:3.11", "localhost:5000/python:3.11"]
)
def test_an_image_without_a_version_or_with_a_host_is_not_taken_for_pinned(image):
    assert not pinned(image)


@pytest.mark.parametrize("file", _DOCKERFILES, ids=lambda file: file.name)
def test_every_base_image_is_pinned_by_its_tag(file):
    images = [rest.split()[0] for name, rest in instructions(file) if name == "FROM"]
    assert images
    assert all(map(pinned, images))


def test_the_image_runs_as_the_user_that_training_pods_are():
    settings = read_settings({})
    users = [rest for name, rest in last_stage() if name == "USER"]
    assert users == [f"{settings.pod_user}:{settings.pod_group}"]


def test_packages_are_installed_in_a_stage_of_their_own_and_only_wheels_whose_hash_is_known():
    first, last = instructions()[: -len(last_stage())], last_stage()
    install, scripts = (rest for name, rest in first if name == "RUN")
    assert scripts.startswith("npm ci --omit=dev --ignore-scripts")
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert not [rest for _, rest in last if re.search(r"\bpip3? install|gcc|build-essential", rest)]


class TestContext:
    """What of the project reaches the build, and what the image takes of it."""

    @pytest.mark.parametrize(
        "path", [".env", ".git/config", ".trainyard/secrets.json", ".venv/bin/python", "tests/samples.py"]
    )
    def test_nothing_private_reaches_the_build(self, path):
        assert not sent(path)

    def test_compiled_files_do_not_reach_the_build(self):
        assert not sent("include/trainyard/__pycache__/errors.cpython-311.pyc")

    def test_packages_of_the_pages_that_are_installed_here_do_not_reach_the_build(self):
        assert not sent("include/trainyard/web/node_modules/uplot/dist/uPlot.min.css")
        assert sent("include/trainyard/web/package-lock.json")

    def test_everything_that_the_image_takes_is_there_and_reaches_the_build(self):
        for source in copies():
            path = PROJECT / source
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            assert files, source
            made_here = {"__pycache__", "node_modules"}
            wanted = [str(file.relative_to(PROJECT)) for file in files if made_here.isdisjoint(file.parts)]
            assert [name for name in wanted if not sent(name)] == []


# The example's training program; the service does not import it.
_NOT_IN_THE_IMAGE = {"scikit-learn", "trustme"}  # of the example and of the one-machine cluster
_ONLY_IN_THE_IMAGE = {"apache-airflow-providers-celery", "psycopg2-binary", "asyncpg"}


class TestPackages:
    """The image's lock: the project's versions, with hashes, and none of the tools of tests and checks."""

    folder = PROJECT / "deploy" / "image"

    @staticmethod
    def names(text: str) -> set[str]:
        return {found[1].replace(".", "-") for found in re.finditer(r"^([a-z][a-z0-9.-]*)", text, re.MULTILINE)}

    @staticmethod
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\\n]+)", file.read_text("utf-8"), re.MULTILINE))

    def test_the_image_has_what_the_service_needs_and_nothing_of_tests(self):
        service = (PROJECT / "requirements.in").read_text("utf-8").partition("# tests and checks")[0]
        asked = self.names((self.folder / "requirements.in").read_text("utf-8"))
        assert asked == self.names(service) - _NOT_IN_THE_IMAGE | _ONLY_IN_THE_IMAGE
        assert not {"pytest", "mypy", "ruff", "uv", "scikit-learn"} & self.pins(self.folder / "requirements.txt").keys()

    def test_the_image_has_the_versions_of_the_project(self):
        own, image = self.pins(PROJECT / "requirements.txt"), self.pins(self.folder / "requirements.txt")
        assert [name for name in image.keys() & own.keys() if image[name] != own[name]] == []
        assert self.names((self.folder / "requirements.in").read_text("utf-8")) <= image.keys()

    def test_every_package_has_a_hash(self):
        text = (self.folder / "requirements.txt").read_text("utf-8")
        blocks = re.split(r"\n(?=[a-z])", text)
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


_LOOK = """
import json, os
import airflow
from airflow.api_fastapi.app import get_auth_manager_cls
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.executors.executor_loader import ExecutorLoader
from airflow import plugins_manager
import airflow_local_settings, trainyard
from trainyard.settings import data_file
bundles = {bundle.name: str(bundle.path) for bundle in DagBundlesManager().get_all_dag_bundles()}
print(json.dumps({
    "package": trainyard.__path__[0],
    "local settings": airflow_local_settings.__file__,
    "auth manager": get_auth_manager_cls().__name__,
    "executor": ExecutorLoader.import_default_executor_cls()[0].__module__,
    "timetables": sorted(plugins_manager.get_timetables_plugins()),
    "bundles": bundles,
    "data": str(data_file("schemas/manifest.schema.json")),
    "password left": "TRAINYARD_PASSWORDS" in os.environ,
    "home": os.environ["AIRFLOW_HOME"],
}))
"""


class TestRunning:
    """Airflow from the image's files and variables alone, started by the image's entrypoint."""

    @pytest.fixture
    def image(self, tmp_path):
        variables = unpack(tmp_path)
        # The packages are this environment's; everything else is as in the image.
        return {**variables, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}, tmp_path

    @staticmethod
    def run(image, *command, **more):
        variables, folder = image
        started = [str(folder / "entrypoint"), *command]
        return subprocess.run(
            started, env={**variables, **more}, cwd=folder, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def test_airflow_finds_auth_manager_executor_timetable_and_bundles(self, image):
        folder = str(image[1])
        stated = self.run(image, sys.executable, "-W", "ignore", "-c", _LOOK, TRAINYARD_PASSWORDS='{"admin":"x"}')
        found = json.loads(stated.splitlines()[-1])
        assert found["package"] == f"{folder}/opt/trainyard/include/trainyard"
        assert found["local settings"] == f"{folder}/opt/trainyard/config/airflow_local_settings.py"
        assert found["auth manager"] == "AccountAuthManager"
        assert found["executor"] == "trainyard.airflow.patches.executor"
        assert found["timetables"] == ["trainyard.airflow.timetable.TrainingTimetable"]
        assert found["bundles"]["dags-folder"] == f"{folder}/opt/trainyard/dags"
        assert found["bundles"]["trainings"].startswith(f"{folder}/opt/airflow/bundles/trainings")
        assert found["data"].startswith(f"{folder}/opt/trainyard/schemas/")
        assert found["password left"] is False

    def test_the_environment_overrules_the_settings_of_the_image(self, image):
        stated = self.run(image, "env", AIRFLOW__CORE__PARALLELISM="32", AIRFLOW__CORE__EXECUTOR="CeleryExecutor")
        assert {"AIRFLOW__CORE__PARALLELISM=32", "AIRFLOW__CORE__EXECUTOR=CeleryExecutor"} <= set(stated.splitlines())
        assert "AIRFLOW__CORE__LOAD_EXAMPLES=False" in stated.splitlines()

    def test_passwords_are_written_for_the_auth_manager_alone(self, image):
        file = Path(image[0]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        self.run(image, "true")
        assert not file.exists()
        self.run(image, "true", TRAINYARD_PASSWORDS='{"admin":"a b\'c%s"}')
        assert json.loads(file.read_text()) == {"admin": "a b'c%s"}
        assert file.stat().st_mode & 0o777 == 0o600

    def test_a_commands_exit_code_is_the_containers(self, image):
        with pytest.raises(subprocess.CalledProcessError) as ended:
            self.run(image, "sh", "-c", "exit 7")
        assert ended.value.returncode == 7


def test_the_catalogue_of_the_bundle_is_that_of_the_service():
    variables = environment()
    bundles = json.loads(variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    (trainings,) = [bundle for bundle in bundles if bundle["name"] == "trainings"]
    assert trainings["kwargs"]["catalogue"] == variables["TRAINYARD_CATALOGUE"]
