"""Settings are rows, read once from a mapping."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from trainyard.errors import TrainyardError
from trainyard.settings import ROWS, read_settings


def test_without_an_environment_every_setting_has_its_default():
    settings = read_settings({})
    assert settings.zip_max_bytes == 1024**3
    assert settings.namespace == "default"


def test_a_setting_is_read_from_its_variable():
    settings = read_settings({"TRAINYARD_ZIP_MAX_BYTES": "300MiB", "TRAINYARD_NAMESPACE": "trainings"})
    assert settings.zip_max_bytes == 300 * 1024**2
    assert settings.namespace == "trainings"


def test_variables_of_others_are_left_alone():
    assert read_settings({"NAMESPACE": "x", "TRAINYARD_UNKNOWN": "y"}) == read_settings({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRAINYARD_POD_RETRIES", "two"),
        ("TRAINYARD_ZIP_MAX_BYTES", "512 megs"),
        ("TRAINYARD_POD_POLL_SECONDS", ""),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_its_name_and_the_default(variable, value):
    with pytest.raises(TrainyardError) as refusal:
        read_settings({variable: value})
    row = next(row for row in ROWS if row.variable == variable)
    assert refusal.value.code.code == "S500"
    assert variable in refusal.value.message
    assert repr(value) in refusal.value.message
    assert repr(row.default) in refusal.value.hint


def test_settings_do_not_change_once_read():
    settings = read_settings({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.namespace = "other"


def test_every_row_has_a_name_of_its_own_and_a_sentence():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(row.help.endswith(".") for row in ROWS)


def test_no_setting_is_without_effect():
    project = Path(__file__).resolve().parents[2]
    files = [file for folder in ("include/trainyard", "dags") for file in (project / folder).rglob("*.py")]
    read = set(re.findall(r"settings\.(\w+)|settings\(os\.environ\)\.(\w+)", "\n".join(map(Path.read_text, files))))
    assert {row.name for row in ROWS} <= {name for names in read for name in names}
