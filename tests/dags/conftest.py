"""An Airflow of the tests' own: set up before Airflow is imported, thrown away at the end of the process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_HOME = Path(tempfile.mkdtemp(prefix="trainyard-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# Airflow reads its environment the moment it is imported; test modules are imported after this one.
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": "dGhlIHRlc3RzIG93biBrZXksIDMyIGJ5dGVzIGxvbmc=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "the tests own " * 5,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:user,root:admin",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
        "TRAINYARD_AUDIT_LOG": str(_HOME / "audit"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(_HOME / "bundles"),
    }
)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def _tables(request):
    """Airflow's tables, on either kind of server; without tests of one kind, its server does not start."""
    from airflow import settings
    from airflow.models.base import Base
    from airflow.utils.db import import_all_models

    import_all_models()
    with _address(request.param) as address, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", address)
        settings.configure_vars()
        settings.reconfigure_orm()
        assert settings.engine.dialect.name == request.param
        Base.metadata.create_all(settings.engine)
        yield
        settings.dispose_orm()  # before its server goes


def _address(kind):
    from postgresserver import postgres_server

    return postgres_server() if kind == "postgresql" else nullcontext(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])


def _with_rows(session, tables):
    """Return the tables that have a row, in the order to empty them in: one question in place of seventy."""
    from sqlalchemy import exists, literal, select, union_all

    filled = union_all(*(select(literal(table.name)).where(exists(select(1).select_from(table))) for table in tables))
    names = set(session.scalars(filled))
    return [table for table in reversed(tables) if table.name in names]


@pytest.fixture
def database(_tables):
    """Airflow's own database, empty."""
    from airflow.models.base import Base
    from airflow.utils.db import synchronize_log_template
    from airflow.utils.session import create_session

    with create_session() as session:
        for table in _with_rows(session, Base.metadata.sorted_tables):
            session.execute(table.delete())
        synchronize_log_template(session=session)  # every run refers to it
    return create_session
