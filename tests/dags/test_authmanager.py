"""Airflow's own pages and REST for members: the trainings of their accounts, and nothing of the service's inside."""

from __future__ import annotations

import warnings

import pytest
from late import Late
from samples import MODEL_ID, training

from trainyard.core.catalogue import Catalogue

pytestmark = pytest.mark.xdist_group("airflow")

managers = Late("trainyard.airflow.authmanager")
users = Late("airflow.api_fastapi.auth.managers.simple.user")
details = Late("airflow.api_fastapi.auth.managers.models.resource_details")
types = Late("airflow.api_fastapi.common.types")
_OTHER = "training-Xz81mQ0aB"
_QUOTAS = """
accounts:
  - {name: vision, gpus: 4, members: [ada], max_hours: 24}
  - {name: speech, gpus: 1, members: [grace], max_hours: 24}
"""


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The auth manager beside a training of each of two accounts."""
    (tmp_path / "quotas.yaml").write_text(_QUOTAS)
    monkeypatch.setenv("TRAINYARD_QUOTAS_FILE", str(tmp_path / "quotas.yaml"))
    monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path / "catalogue"))
    catalogue = Catalogue(tmp_path / "catalogue")
    catalogue.add(training(MODEL_ID, "vision"))
    catalogue.add(training(_OTHER, "speech"))
    with warnings.catch_warnings():
        # What Airflow imports with it warns of the httpx that it finds.
        warnings.simplefilter("ignore")
        return managers.AccountAuthManager()


def _user(name, role="user"):
    return users.SimpleAuthManagerUser(username=name, role=role)


def _may(manager, user, dag_id, method="GET", entity=None):
    dag = details.DagDetails(id=dag_id)
    return manager.is_authorized_dag(method=method, user=user, access_entity=entity, details=dag)


@pytest.fixture
def permitted():
    """A request that the guard of members' changes has let pass."""
    token = managers.CHANGE_PERMITTED.set(True)
    yield
    managers.CHANGE_PERMITTED.reset(token)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_member_reaches_the_trainings_of_the_own_accounts_alone(manager, permitted, method):
    reached = {name: [_may(manager, _user(name), dag_id, method) for dag_id in (MODEL_ID, _OTHER)]
               for name in ("ada", "grace", "mallory")}  # fmt: skip
    assert reached == {"ada": [True, False], "grace": [False, True], "mallory": [False, False]}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_the_guard_a_member_changes_nothing_and_an_admin_all(manager, method):
    for entity in (None, *details.DagAccessEntity):
        assert not _may(manager, _user("ada"), MODEL_ID, method, entity)
        assert _may(manager, _user("root", "admin"), MODEL_ID, method, entity)


def test_logs_xcoms_and_source_are_reached_as_the_training_is(manager):
    for entity in details.DagAccessEntity:
        assert _may(manager, _user("ada"), MODEL_ID, entity=entity)
        assert not _may(manager, _user("grace"), MODEL_ID, entity=entity)


@pytest.mark.parametrize("role", ["admin", "op"])
def test_an_admin_reaches_every_dag_also_those_of_the_service(manager, role):
    assert all(_may(manager, _user("root", role), dag_id) for dag_id in (MODEL_ID, _OTHER, "housekeeping"))
    asked = {MODEL_ID, _OTHER, "housekeeping"}
    assert manager.filter_authorized_dag_ids(dag_ids=asked, user=_user("root", role)) == asked


def test_what_lists_many_dags_shows_a_member_the_own_ones(manager):
    asked = {MODEL_ID, _OTHER, "housekeeping", "training-gone00000"}
    assert manager.filter_authorized_dag_ids(dag_ids=asked, user=_user("ada")) == {MODEL_ID}
    assert manager.filter_authorized_dag_ids(dag_ids=asked, user=_user("mallory")) == set()


def test_a_viewer_looks_and_changes_nothing(manager):
    ada = _user("ada", "viewer")
    assert _may(manager, ada, MODEL_ID)
    assert not _may(manager, ada, MODEL_ID, "PUT")
    assert manager.filter_authorized_dag_ids(dag_ids={MODEL_ID}, user=ada, method="PUT") == set()


def test_a_member_may_ask_about_all_dags_only_where_airflow_filters_the_answer(manager):
    entities, ada = details.DagAccessEntity, _user("ada")
    assert manager.is_authorized_dag(method="GET", user=ada)
    assert manager.is_authorized_dag(method="GET", user=ada, access_entity=entities.RUN)
    assert not manager.is_authorized_dag(method="GET", user=ada, access_entity=entities.AUDIT_LOG)
    assert not manager.is_authorized_dag(method="PUT", user=ada, access_entity=entities.TASK_INSTANCE)


def test_pools_connections_configuration_and_the_machinery_are_not_for_members(manager):
    views, ada, root = details.AccessView, _user("ada"), _user("root", "admin")
    for user, allowed in ((ada, False), (root, True)):
        assert manager.is_authorized_pool(method="GET", user=user) is allowed
        assert manager.is_authorized_connection(method="GET", user=user) is allowed
        assert manager.is_authorized_variable(method="GET", user=user) is allowed
        assert manager.is_authorized_configuration(method="GET", user=user) is allowed
        assert manager.is_authorized_view(access_view=views.IMPORT_ERRORS, user=user) is allowed
    assert manager.is_authorized_view(access_view=views.WEBSITE, user=ada)
    # Airflow's UI asks there which pages of ours it has to show.
    assert manager.is_authorized_view(access_view=views.PLUGINS, user=ada)


def test_the_menu_shows_a_member_no_page_that_would_be_refused(manager):
    items = list(types.MenuItem)
    assert manager.filter_authorized_menu_items(items, user=_user("root", "admin")) == items
    shown = {item.name for item in manager.filter_authorized_menu_items(items, user=_user("ada"))}
    assert "DAGS" in shown
    assert not shown & {"CONNECTIONS", "POOLS", "VARIABLES", "CONFIG", "AUDIT_LOG"}


def test_a_member_who_joins_an_account_reaches_its_trainings_without_a_restart(manager, tmp_path):
    assert not _may(manager, _user("ada"), _OTHER)
    (tmp_path / "quotas.yaml").write_text(_QUOTAS.replace("[grace]", "[grace, ada]"))
    assert _may(manager, _user("ada"), _OTHER)
