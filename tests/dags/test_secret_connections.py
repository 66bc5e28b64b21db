"""Secrets of programs in Airflow's own database, over the front door, and on their way to a pod."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from accountsyard import columns_with
from accountsyard import yard as yard  # a fixture
from fake_cluster import FakeCluster, refusal
from historyworld import world as world  # a fixture
from late import Late
from samples import MODEL_ID, RUN, training

from trainyard.cluster.podclient import TrainingPods
from trainyard.domain.names import secret_name
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

keeping = Late("trainyard.airflow.secretconnections")
given = Late("trainyard.airflow.runsecrets")

VALUE, OTHER = "5b1c0ffee5b1c0ffee", "5b1c0ffee-of-the-account"
_VALUES = {"WANDB_API_KEY": VALUE}


def _put(client, name, value, **params):
    return client.ask("PUT", f"/secrets/{name}", json={"value": value}, params=params)


class TestFrontDoor:
    def test_what_is_kept_is_listed_by_name_for_whom_it_is_for(self, yard):
        ada, grace = yard.client("ada"), yard.client("grace")
        assert _put(ada, "WANDB_API_KEY", VALUE).status_code == 200
        assert _put(ada, "HF_TOKEN", OTHER, account="vision").json()["account"] == "vision"
        answer = ada.get("/secrets")
        assert [(one["name"], one["account"]) for one in answer.json()["resources"]] == [
            ("WANDB_API_KEY", None),
            ("HF_TOKEN", "vision"),
        ]
        assert grace.get("/secrets").json()["resources"] == []
        assert VALUE not in answer.text + _put(ada, "WANDB_API_KEY", VALUE).text

    def test_it_is_encrypted_in_every_column_of_the_database(self, yard):
        _put(yard.client("ada"), "WANDB_API_KEY", VALUE)
        assert keeping.ConnectionSecrets().is_kept(Holder.user("ada"), "WANDB_API_KEY")
        assert columns_with(yard.session, VALUE) == set()

    def test_a_value_is_replaced_and_one_that_is_forgotten_is_gone(self, yard):
        ada = yard.client("ada")
        _put(ada, "WANDB_API_KEY", VALUE)
        _put(ada, "WANDB_API_KEY", OTHER)
        assert len(ada.get("/secrets").json()["resources"]) == 1
        assert ada.ask("DELETE", "/secrets/WANDB_API_KEY").status_code == 204
        again = ada.ask("DELETE", "/secrets/WANDB_API_KEY")
        assert (again.status_code, again.json()["error"]["code"]) == (400, "C116")
        assert not keeping.ConnectionSecrets().is_kept(Holder.user("ada"), "WANDB_API_KEY")

    def test_an_account_of_others_is_refused(self, yard):
        for answer in (
            _put(yard.client("grace"), "HF_TOKEN", VALUE, account="vision"),
            yard.client("grace").ask("DELETE", "/secrets/HF_TOKEN", params={"account": "vision"}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "C106")

    @pytest.mark.parametrize(
        "body", [{"value": 5}, {"value": VALUE, "name": "x"}, {"valeu": VALUE}, [VALUE], {"value": ""}]
    )
    def test_a_body_that_is_none_is_refused_and_not_repeated(self, yard, body):
        answer = yard.client("ada").ask("PUT", "/secrets/WANDB_API_KEY", json=body)
        assert answer.status_code == 400
        assert VALUE not in answer.text


class TestRuns:
    @pytest.fixture(autouse=True)
    def kept(self, monkeypatch):
        values = {(Holder.user("ada"), "WANDB_API_KEY"): VALUE, (Holder.account("vision"), "HF_TOKEN"): OTHER}
        monkeypatch.setattr(
            "trainyard.airflow.secretconnections.read_secret", lambda holder, name: values.get((holder, name))
        )

    def _given(self, run_id=MODEL_ID, by=None, names=("WANDB_API_KEY", "HF_TOKEN")):
        context = {"run_id": run_id, "dag_run": SimpleNamespace(triggering_user_name=by)}
        return given.secrets_of(context, training(owner="ada", secrets=names))

    def test_the_first_run_and_those_of_a_schedule_have_the_owners(self):
        whole = {"WANDB_API_KEY": VALUE, "HF_TOKEN": OTHER}
        assert self._given() == self._given("training-again0000") == whole

    def test_whoever_triggers_it_with_a_command_of_their_own_does_not_get_the_owners(self):
        assert self._given("training-again0000", by="bob", names=("HF_TOKEN",)) == {"HF_TOKEN": OTHER}
        with pytest.raises(TrainyardError) as refused:
            self._given("training-again0000", by="bob")
        assert (refused.value.code.code, "WANDB_API_KEY" in refused.value.message) == ("C116", True)
        assert VALUE not in refused.value.message

    def test_a_run_without_secrets_reads_none(self):
        assert self._given(names=()) == {}


class TestCluster:
    def test_a_runs_secrets_are_one_secret_that_is_replaced_and_dropped(self):
        cluster = FakeCluster()
        pods = TrainingPods(cluster, "default", 0)
        pods.keep_secrets(RUN, {"WANDB_API_KEY": "earlier"})
        pods.keep_secrets(RUN, _VALUES)
        (secret,) = cluster.secrets.values()
        assert (secret["metadata"]["name"], secret["stringData"]) == (secret_name(RUN), _VALUES)
        pods.drop_secrets(RUN)
        pods.drop_secrets(RUN)
        assert cluster.secrets == {}

    def test_a_cluster_that_refuses_it_is_told_without_what_it_said(self):
        from kubernetes.client import ApiException

        cluster = FakeCluster()

        def refuse(namespace, body):
            error = ApiException(status=422, reason="Invalid")
            error.body = f'{{"message": "{body["stringData"]}"}}'
            raise error

        cluster.create_namespaced_secret = refuse
        with pytest.raises(TrainyardError) as refused:
            TrainingPods(cluster, "default", 0).keep_secrets(RUN, _VALUES)
        assert refused.value.code.code == "S101"
        assert VALUE not in f"{refused.value} {refused.value.hint} {refused.value.__context__.__suppress_context__}"

    def test_missing_rights_are_the_services_fault(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(403, "Forbidden")]
        with pytest.raises(TrainyardError, match="the removal of the run's secrets"):
            TrainingPods(cluster, "default", 0).drop_secrets(RUN)
