"""What Airflow is given beside the package: the plugin, the settings that differ, the imports done once."""

from __future__ import annotations

import importlib.util
import itertools
import runpy
import sys
from pathlib import Path

import pytest
from late import Late

from trainyard.airflow import patches
from trainyard.local.environment import airflow_environment, read_env_file
from trainyard.local.secrets import Secrets

pytestmark = pytest.mark.xdist_group("airflow")

configuration = Late("airflow.configuration")
plugins = Late("airflow.plugins_manager")
timetable = Late("trainyard.airflow.timetable")
_PROJECT = Path(__file__).resolve().parents[2]


def _options(environment):
    """Return section and key of every Airflow option in an environment."""
    names = [name.split("__") for name in environment if name.startswith("AIRFLOW__")]
    return {(section.lower(), key.lower()) for _, section, key in names}


def _known():
    described = configuration.conf.configuration_description
    known = {(section, key.lower()) for section, rows in described.items() for key in rows["options"]}
    # Read by the Kubernetes provider and by the simple auth manager without being described.
    return known | {("core", "simple_auth_manager_passwords_file")}


def test_every_setting_that_differs_is_one_that_airflow_has():
    assert _options(read_env_file(_PROJECT / "config" / "airflow.env")) - _known() == set()


def test_every_setting_of_the_one_machine_stack_is_one_that_airflow_has(tmp_path):
    environment = airflow_environment(tmp_path, 8080, Secrets.of(tmp_path / "secrets.json"))
    assert _options(environment) - _known() == set()


def test_every_setting_that_differs_says_why():
    """A reason stands above a setting or above the one before it."""
    lines = (_PROJECT / "config" / "airflow.env").read_text().splitlines()
    blocks = "\n".join(lines).split("\n\n")
    assert all(block.startswith("#") for block in blocks)


def test_everything_that_is_imported_once_for_all_is_there():
    made = runpy.run_path(str(_PROJECT / "config" / "airflow_local_settings.py"))
    patched = {f"{patches.__name__}.{name}" for name in itertools.chain(*patches.PATCHES.values())}
    needed = {*itertools.chain(*made["_NEEDED"].values())} | patched
    assert needed
    assert [name for name in needed if importlib.util.find_spec(name) is None] == []


def _plugin():
    made = runpy.run_path(str(_PROJECT / "plugins" / "trainyard_plugin.py"))
    (plugin,) = [one for one in made.values() if isinstance(one, type) and plugins.AirflowPlugin in one.__bases__]
    return plugin


def test_the_plugin_brings_the_timetable():
    assert _plugin().timetables == (timetable.TrainingTimetable,)


@pytest.mark.parametrize("part", ["scheduler", "dag-processor", "triggerer"])
def test_processes_that_serve_no_requests_are_spared_the_front_door(monkeypatch, part):
    monkeypatch.setattr(sys, "argv", ["airflow", part])
    assert _plugin().fastapi_apps == []


@pytest.mark.filterwarnings("ignore")  # of a library that Airflow imports with its api-server
def test_the_api_server_gets_the_front_door(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["airflow", "api-server", "--port", "8080"])
    found = {app["url_prefix"]: app for app in _plugin().fastapi_apps}
    assert found.keys() == {"/v3", "/trainyard"}
    assert found["/v3"]["app"].state.service


def test_a_process_whose_libraries_are_not_as_expected_starts_all_the_same(monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys, "argv", ["airflow", "triggerer"])
    monkeypatch.setitem(sys.modules, "trainyard.airflow.trigger", None)
    made = runpy.run_path(str(_PROJECT / "config" / "airflow_local_settings.py"))
    assert made["task_instance_mutation_hook"]
    assert "The triggerer starts unprepared" in capsys.readouterr().out + caplog.text
