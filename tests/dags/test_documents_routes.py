"""Stored documents over HTTP, with their credentials as connections in Airflow's real database."""

from __future__ import annotations

import io
import json
import zipfile
from types import SimpleNamespace

import pytest
from appasking import asked, created_app
from memorystore import MemoryStore
from samples import LIMITS
from sqlalchemy import select, text
from unit.service_fakes import History, Vault

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.documents.documents import Documents
from trainyard.core.documents.experimentruns import ExperimentRuns
from trainyard.core.documents.files import DocumentFiles
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.service import Service
from trainyard.settings import read_settings

pytestmark = pytest.mark.xdist_group("airflow")

ADA, MALLORY = Caller("ada"), Caller("mallory")
SECRETS = ("s3cret/data+key=", "s3cret results: pass@word")
DEFINITION = f"""\
name: tf-mnist
framework: {{name: tensorflow, version: "2.16"}}
command: python3 train.py
training_data_reference:
- connection: {{endpoint_url: https://objects.example.com, access_key_id: AKIADATA, secret_access_key: {SECRETS[0]}}}
  source: {{bucket: training-data, type: s3}}
"""
EXPERIMENT = f"""\
settings: {{name: Rates}}
training_references:
- name: first
  training_definition_url: /v3/training_definitions/ID
  compute_configuration: {{name: small}}
training_results_reference:
  connection: {{auth_url: https://keystone.example.com, user_name: ada, password: "{SECRETS[1]}", region: dallas,
                project_id: p1, domain_name: d1}}
  target: {{bucket: training-results}}
  type: bluemix_objectstore
"""


@pytest.fixture
def there(database, tmp_path, monkeypatch):
    """The app over real files and a real database; runs are in memory."""
    from trainyard.airflow.connections import ConnectionDocumentVault

    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
    settings, catalogue = read_settings({}), Catalogue(tmp_path / "catalogue")
    service = Service(
        catalogue=catalogue,
        vault=Vault(),
        history=History(),
        limits=lambda: LIMITS,
        settings=settings,
        clock=lambda: 1_700_000_000.0,
        sync_pools=lambda _: None,
        forget_files=lambda _: None,
        results_of=lambda _: MemoryStore(),
        pod_waits=lambda _: "",
        transfer_of=lambda _: None,
    )
    files = DocumentFiles(catalogue.folder)
    searching = SimpleNamespace(ledgers=Ledgers(catalogue.folder / SEARCHES))
    app = created_app()
    app.state.documents = Documents(files, ConnectionDocumentVault(), lambda: LIMITS, settings, service.clock)
    app.state.experiment_runs = ExperimentRuns(app.state.documents, service, searching)
    return SimpleNamespace(app=app, service=service, database=database, folder=catalogue.folder)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train.py", "print('hello')")
    return buffer.getvalue()


def store(there, caller=ADA, text=DEFINITION, key=""):
    files = {"manifest": ("definition.yml", text.encode()), "zip": ("model.zip", zipped())}
    headers = {"Idempotency-Key": key} if key else {}
    return asked(there.app, caller, "POST", "/training_definitions", files=files, headers=headers)


def store_experiment(there, caller=ADA):
    made = store(there).json()
    files = {"manifest": ("experiment.yml", EXPERIMENT.replace("ID", made["id"]).encode())}
    return asked(there.app, caller, "POST", "/experiments", files=files)


def connections(there):
    from airflow.models import Connection

    with there.database() as session:
        return set(session.scalars(select(Connection.conn_id)))


def test_a_definition_is_stored_shown_listed_and_deleted(there):
    answer = store(there)
    assert answer.status_code == 201
    made = answer.json()
    place = f"/training_definitions/{made['id']}"
    assert made["url"] == f"/v3{place}"
    assert made["manifest"].count("****") == 2
    assert asked(there.app, ADA, "GET", place).json() == made
    listed = asked(there.app, ADA, "GET", "/training_definitions").json()
    assert (listed["total"], listed["resources"][0]["version_id"]) == (1, made["version_id"])
    assert connections(there) == {f"definition-{made['id']}.data"}
    assert asked(there.app, ADA, "DELETE", place).status_code == 204
    assert asked(there.app, ADA, "GET", place).status_code == 404
    assert connections(there) == set()


def test_the_same_key_stores_a_definition_once(there):
    assert store(there, key="k").json()["id"] == store(there, key="k").json()["id"]
    assert len(connections(there)) == 1


def test_all_faults_of_document_and_zip_are_answered_at_once(there):
    text = DEFINITION.replace('"2.16"', '"9"').replace("train.py", "missing.py")
    problems = store(there, text=text).json()["error"]["problems"]
    assert [(each["code"], each["line"]) for each in problems] == [("C101", 2), ("C102", None)]


def test_an_experiment_is_run_with_the_credentials_of_both_documents(there):
    stored = store_experiment(there)
    assert stored.status_code == 201
    place = f"/experiments/{stored.json()['id']}/runs"
    answer = asked(there.app, ADA, "POST", place)
    assert answer.status_code == 202
    (training,) = there.service.catalogue.trainings()
    data, results = there.service.vault.kept[training.id]
    assert (data.user, data.secret) == ("AKIADATA", SECRETS[0])
    assert (results.user, results.secret) == ("ada", SECRETS[1])
    assert training.experiment == answer.json()["experiment"]
    listed = asked(there.app, ADA, "GET", place).json()
    assert [each["id"] for each in listed["resources"]] == [answer.json()["id"]]
    shown = asked(there.app, ADA, "GET", f"{place}/{answer.json()['id']}").json()
    assert shown["trainings"] == []  # no run in this history


def test_no_secret_is_in_an_answer_a_file_or_the_database(there):
    stored = store_experiment(there)
    answers = [stored, asked(there.app, ADA, "POST", f"/experiments/{stored.json()['id']}/runs")]
    answers += [asked(there.app, ADA, "GET", f"/{kind}") for kind in ("training_definitions", "experiments")]
    with there.database() as session:
        rows = str(session.execute(text("select * from connection")).all())
    texts = [*(answer.text for answer in answers), rows, json.dumps(stored.json())]
    texts += [path.read_text("latin-1") for path in there.folder.rglob("*") if path.is_file()]
    assert not [each for each in texts for secret in (*SECRETS, "AKIADATA") if secret in each]


def test_others_are_told_that_there_is_nothing(there):
    stored = store_experiment(there).json()
    run = asked(there.app, ADA, "POST", f"/experiments/{stored['id']}/runs").json()
    definition = asked(there.app, ADA, "GET", "/training_definitions").json()["resources"][0]
    cancel = [{"op": "replace", "path": "/status/state", "value": "canceled"}]
    requests = [
        ("GET", f"/training_definitions/{definition['id']}", {}),
        ("DELETE", f"/training_definitions/{definition['id']}", {}),
        ("GET", f"/experiments/{stored['id']}", {}),
        ("DELETE", f"/experiments/{stored['id']}", {}),
        ("POST", f"/experiments/{stored['id']}/runs", {}),
        ("GET", f"/experiments/{stored['id']}/runs", {}),
        ("GET", f"/experiments/{stored['id']}/runs/{run['id']}", {}),
        ("PATCH", f"/experiments/{stored['id']}/runs/{run['id']}", {"json": cancel}),
        ("DELETE", f"/experiments/{stored['id']}/runs/{run['id']}", {}),
    ]
    for verb, place, content in requests:
        answer = asked(there.app, MALLORY, verb, place, **content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "C107"), (verb, place)
    for kind in ("training_definitions", "experiments"):
        assert asked(there.app, MALLORY, "GET", f"/{kind}").json()["resources"] == []
    assert store(there, MALLORY).status_code == 403
    assert len(there.service.catalogue.trainings()) == 1
