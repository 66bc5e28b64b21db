"""Stores that people keep under a name: over the front door, in manifests, and when a run opens them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from accountsyard import columns_with
from accountsyard import yard as yard  # a fixture
from historyworld import world as world  # a fixture
from late import Late
from samples import LIMITS, SPEC

from trainyard.domain.ownstores import is_own_store, shown_connection, store_connection
from trainyard.domain.plan import connection_problems
from trainyard.domain.training import StoreRef
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.manifest.limits import load_limits
from trainyard.manifest.reading import examine_manifest
from trainyard.settings import read_settings

pytestmark = pytest.mark.xdist_group("airflow")

opening = Late("trainyard.airflow.connections")
models = Late("airflow.models")

_SECRET = "5b1c0ffee5b1c0ffee"
_NEW = {
    "endpoint_url": "https://objects.example.com",
    "access_key_id": "AKIA5B1C0FFEE",
    "secret_access_key": _SECRET,
    "region": "eu-de",
}


def _put(client, name="team-data", **changes):
    account = changes.pop("account", None)
    return client.ask("PUT", f"/stores/{name}", json=_NEW | changes, params={"account": account} if account else {})


_MANIFEST = """\
model_definition:
  name: tf-mnist
  framework: {name: tensorflow, version: "2.16"}
  execution: {command: python3 train.py, resource: small}
training_data_reference:
  connection: {name: %s}
  source: {bucket: training-data, type: s3}
training_results_reference:
  connection: {name: %s}
  target: {bucket: training-results, type: s3}
"""


class TestFrontDoor:
    def test_a_store_is_listed_for_whom_it_is_for_without_its_keys(self, yard):
        ada = yard.client("ada")
        assert _put(ada).json()["endpoint_url"] == "https://objects.example.com"
        assert _put(ada, "shared", account="vision").status_code == 200
        answer = ada.get("/stores")
        assert [(one["name"], one["account"]) for one in answer.json()["resources"]] == [
            ("team-data", None),
            ("shared", "vision"),
        ]
        assert _SECRET not in answer.text
        assert "AKIA" not in answer.text
        assert yard.client("grace").get("/stores").json()["total"] == 0
        assert columns_with(yard.session, _SECRET) == columns_with(yard.session, "AKIA5B1C0FFEE") == set()

    def test_the_stores_of_others_are_not_there(self, yard):
        _put(yard.client("ada"))
        grace = yard.client("grace")
        asked = (
            (grace.ask("DELETE", "/stores/team-data"), 404),
            (grace.get("/stores/team-data/buckets/digits"), 404),
            (_put(grace, account="vision"), 403),
            (grace.ask("DELETE", "/stores/team-data", params={"account": "vision"}), 403),
        )
        assert [answer.status_code for answer, _ in asked] == [status for _, status in asked]

    @pytest.mark.parametrize(
        "changes",
        [
            {"endpoint_url": "http://169.254.169.254"},
            {"endpoint_url": "no address"},
            {"endpoint_url": f"https://ada:{_SECRET}@example.com"},
            {"secret_access_key": ""},
            {"secret_access_key": "a\nb"},
            {"role_arn": "arn:aws:iam::1:role/x"},
        ],
    )
    def test_what_is_no_store_is_refused_and_not_repeated(self, yard, changes):
        answer = _put(yard.client("ada"), **changes)
        assert answer.status_code == 400
        assert _SECRET not in answer.text
        assert yard.client("ada").get("/stores").json()["total"] == 0

    @pytest.mark.parametrize("name", ["Upper", "a.b", "-a", "x" * 41])
    def test_a_name_that_no_store_can_have_is_refused(self, yard, name):
        assert _put(yard.client("ada"), name).status_code == 400


class TestManifests:
    def _found(self, yard, name, user="ada", account="vision"):
        from trainyard.airflow.app import App

        stores = App(read_settings({"TRAINYARD_QUOTAS_FILE": str(yard.catalogue.folder.parent / "quotas.yaml")})).stores
        limits = load_limits(None, None, None)
        find = lambda wanted: stores.find(user, account, wanted)  # noqa: E731
        return examine_manifest(
            (_MANIFEST % (name, name)).encode(), limits, account=LIMITS.accounts["vision"], find_store=find
        )

    def test_a_name_is_the_submitters_own_store_and_else_the_accounts(self, yard):
        _put(yard.client("ada"), "both")
        _put(yard.client("ada"), "both", account="vision")
        ref = self._found(yard, "both").read.submission.spec.data
        assert ref == StoreRef("s3", "training-data", "", connection=store_connection(Holder.user("ada"), "both"))
        assert (is_own_store(ref.connection), shown_connection(ref.connection)) == (True, "both")
        theirs = self._found(yard, "both", user="bob").read.submission.spec.data
        assert theirs.connection == store_connection(Holder.account("vision"), "both")

    def test_a_store_of_others_is_refused_as_one_that_there_is_not(self, yard):
        _put(yard.client("ada"), "mine")
        theirs = self._found(yard, "mine", user="grace").problems
        assert theirs == tuple(replace(one, seen="mine") for one in self._found(yard, "none", user="grace").problems)

    def test_the_id_of_a_connection_is_no_name_of_a_store(self, yard):
        _put(yard.client("ada"), "mine")
        for user in ("ada", "grace"):
            assert self._found(yard, store_connection(Holder.user("ada"), "mine"), user=user).read is None


class TestRuns:
    def test_a_training_of_another_owner_may_not_use_the_store(self):
        spec = replace(SPEC, data=StoreRef("s3", "digits", "", connection=store_connection(Holder.user("ada"), "mine")))
        account = LIMITS.accounts["vision"]
        assert connection_problems(spec, account, "ada") == []
        (problem,) = connection_problems(spec, account, "bob")
        assert (problem.code, problem.seen) == ("C104", "mine")
        shared = replace(SPEC, data=replace(spec.data, connection=store_connection(Holder.account("vision"), "mine")))
        assert connection_problems(shared, account, "bob") == []
        assert len(connection_problems(shared, LIMITS.accounts["speech"], "bob")) == 1

    def test_it_is_opened_with_its_keys_and_keeps_to_the_services_addresses(self, yard):
        _put(yard.client("ada"), "mine")
        name = store_connection(Holder.user("ada"), "mine")
        store = opening.open_served(StoreRef("s3", "digits", "", connection=name), "", read_settings({}))
        assert store.place == "bucket digits of the store mine"
        with yard.session() as session:
            from sqlalchemy import select

            row = session.scalar(select(models.Connection).where(models.Connection.conn_id == name))
            row.set_extra(row.extra.replace("https://objects.example.com", "http://127.0.0.1:9"))
        with pytest.raises(TrainyardError) as refused:
            list(opening.open_served(StoreRef("s3", "digits", "", connection=name), "", read_settings({})).list())
        assert refused.value.code.code == "C114"

    def test_one_that_is_gone_is_the_submitters_to_mend(self, database):
        ref = StoreRef("s3", "digits", "", connection=store_connection(Holder.user("ada"), "gone"))
        with pytest.raises(TrainyardError, match="the store gone is not kept any more") as refused:
            opening.open_served(ref, "", read_settings({}))
        assert refused.value.code.code == "C103"
