"""Accounts with members, and a run of one of them, behind the front door over Airflow's database."""

from __future__ import annotations

import warnings

import pytest
from frontdoorfakes import Http
from historyworld import ALL_STEPS, TRAINED, end_run, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import MODEL_ID, training

users = Late("airflow.api_fastapi.auth.managers.simple.user")

OTHER_RUN, LATER_RUN = "training-Xz81mQ0aB", "training-again0000"
QUOTAS = """
accounts:
  - {name: vision, gpus: 4, members: [ada], max_hours: 24}
  - {name: speech, gpus: 1, members: [grace], max_hours: 24}
"""


@pytest.fixture
def yard(world, tmp_path, monkeypatch):
    """A training of each of two accounts, both have run; clients of ada, grace and root."""
    (tmp_path / "quotas.yaml").write_text(QUOTAS)
    for name, value in {
        "QUOTAS_FILE": tmp_path / "quotas.yaml",
        "CATALOGUE": world.catalogue.folder,
        "WORKSPACE": tmp_path / "workspace",
    }.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(value))
    for training_id, account in ((MODEL_ID, "vision"), (OTHER_RUN, "speech")):
        world.catalogue.add(training(training_id, account))
        parse_dag(world, training_id)
        start_run(world, training_id, **ALL_STEPS)
        end_run(world, training_id, train=TRAINED)
    world.client = clients()
    return world


def clients():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.api_fastapi import app as airflow_app

        from trainyard.api.app import create_app
    app, manager = create_app(), airflow_app.create_auth_manager()
    manager.init()

    def client(name, role="user", **token):
        user = users.SimpleAuthManagerUser(username=name, role=role)
        return Http(app, {"Authorization": f"Bearer {manager.generate_jwt(user, **token)}"})

    return client


def columns_with(session_of, needle):
    """Return the columns of Airflow's database that hold a text, as `table.column`."""
    from airflow.models.base import Base
    from sqlalchemy import text

    with session_of() as session:
        tables = [table.name for table in Base.metadata.sorted_tables]
        rows = {name: session.execute(text(f'SELECT * FROM "{name}"')).mappings().all() for name in tables}
    return {
        f"{name}.{column}"
        for name, all_rows in rows.items()
        for row in all_rows
        for column in row
        if needle in str(row[column])
    }
