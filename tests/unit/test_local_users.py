"""Users of the one-machine stack: the admin, and members that were named at a start."""

from __future__ import annotations

import json
import stat

import pytest

from trainyard.errors import TrainyardError
from trainyard.local.environment import USERS, airflow_environment, keep_users
from trainyard.local.secrets import Secrets


@pytest.fixture
def passwords(tmp_path):
    return tmp_path / "passwords.json"


def test_without_members_there_is_the_admin_with_the_stacks_password(passwords):
    assert keep_users(passwords, "engine", "") == {"admin": "admin"}
    assert json.loads(passwords.read_text()) == {"admin": "engine"}


def test_members_get_a_password_each_that_nobody_else_reads(passwords):
    assert keep_users(passwords, "engine", "ada, grace") == {"admin": "admin", "ada": "user", "grace": "user"}
    kept = json.loads(passwords.read_text())
    assert len({*kept.values()}) == 3
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_members_stay_with_their_passwords_at_the_next_start(passwords):
    keep_users(passwords, "engine", "ada")
    before = json.loads(passwords.read_text())
    assert keep_users(passwords, "other", "grace") == {"admin": "admin", "ada": "user", "grace": "user"}
    after = json.loads(passwords.read_text())
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("name", ["ada:admin", "a b", "ada;x"])
def test_a_name_that_would_mean_something_else_to_airflow_is_refused(passwords, name):
    with pytest.raises(TrainyardError, match=USERS):
        keep_users(passwords, "engine", name)
    assert not passwords.exists()


def test_the_stack_tells_airflow_its_users_and_how_to_reach_the_front_door(tmp_path, monkeypatch):
    monkeypatch.setenv(USERS, "ada")
    secrets = Secrets.of(tmp_path / "secrets.json")
    environment = airflow_environment(tmp_path / ".trainyard", 8080, secrets)
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,ada:user"
    assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("AccountAuthManager")
    door = json.loads(environment["AIRFLOW_CONN_TRAINYARD_FRONT_DOOR"])
    assert (door["conn_type"], door["host"], door["login"]) == ("http", "http://127.0.0.1:8080", "admin")
    assert door["password"] == secrets.password
