"""Quotas as pools and credentials as connections, in Airflow's real database."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Thread

import pytest
from late import Late
from samples import LIMITS, MODEL_ID, SPEC, training
from sqlalchemy import delete, event, select, text

from trainyard.domain.earlier import Earlier
from trainyard.domain.notification import Address
from trainyard.domain.training import Credentials, StoreRef, Submission
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

pytestmark = pytest.mark.xdist_group("airflow")

models = Late("airflow.models")
pools = Late("trainyard.airflow.pools")
connections = Late("trainyard.airflow.connections")
_SUBMISSION = Submission(
    replace(SPEC, results=StoreRef("bluemix_objectstore", "results", "https://keystone.example.com", "dallas")),
    Credentials("AKIADATA", "key+of/data=s3cret"),
    Credentials("ada", "pass@word: s3cret results"),
)


_SLOTS = {"TRANSFER": "3", "CHECK": "5", "CLEANUP": "1", "CPU": "9"}
_SETTINGS = read_settings({f"TRAINYARD_{name}_SLOTS": slots for name, slots in _SLOTS.items()})
_SIZES = {
    "gpus-vision": 4,
    "gpus-speech": 1,
    "checks-vision": 5,
    "checks-speech": 5,
    "transfers-vision": 3,
    "transfers-speech": 3,
    "cleanups-vision": 1,
    "cleanups-speech": 1,
    "cpu": 9,
}
_OWNED = {"gpus-vision", "gpus-speech", "cpu"}


def _slots(database):
    with database() as session:
        return {pool.pool: (pool.slots, pool.include_deferred) for pool in session.scalars(select(models.Pool))}


class TestPools:
    def test_every_account_has_a_pool_of_its_gpus_beside_those_of_the_service(self):
        sizes = {name: size.slots for name, size in pools.pool_sizes(LIMITS, _SETTINGS).items()}
        assert sizes == _SIZES

    def test_pools_that_are_missing_are_made_and_a_training_that_waits_for_its_pod_keeps_its_gpus(self, database):
        pools.sync_pools(LIMITS, _SETTINGS)
        assert _slots(database) == {name: (slots, name in _OWNED) for name, slots in _SIZES.items()}

    def test_pools_of_an_earlier_version_are_put_right_and_the_new_ones_made(self, database):
        with database() as session:
            for name in ("gpus-vision", "checks-vision", "transfers-vision"):
                models.Pool.create_or_update_pool(name, _SIZES[name], "", include_deferred=True, session=session)
        pools.sync_pools(LIMITS, _SETTINGS)
        assert _slots(database) == {name: (slots, name in _OWNED) for name, slots in _SIZES.items()}

    def test_runs_of_an_account_that_is_no_more_miss_no_pool_of_a_later_version(self, database):
        pools.sync_pools(LIMITS, _SETTINGS)
        with database() as session:
            session.execute(delete(models.Pool).where(models.Pool.pool == "cleanups-speech"))
        left = replace(LIMITS, accounts={"vision": LIMITS.accounts["vision"]})
        assert pools.sync_pools(left, _SETTINGS) == [pools.Resized("cleanups-speech", None, 1)]
        assert set(_slots(database)) == set(_SIZES)
        assert pools.sync_pools(left, _SETTINGS) == []

    def test_pools_that_another_request_makes_at_the_same_moment_are_no_fault(self, database):
        others = iter([lambda: pools.sync_pools(LIMITS, _SETTINGS)])

        def meanwhile(*_):
            other = Thread(target=next(others, lambda: None))
            other.start()
            other.join()

        event.listen(models.Pool, "before_insert", meanwhile)
        try:
            pools.sync_pools(LIMITS, _SETTINGS)
        finally:
            event.remove(models.Pool, "before_insert", meanwhile)
        assert set(_slots(database)) == set(_SIZES)

    def test_a_pool_follows_its_accounts_quota(self, database):
        pools.sync_pools(LIMITS, _SETTINGS)
        vision = replace(LIMITS.accounts["vision"], gpus=16)
        pools.sync_pools(replace(LIMITS, accounts={**LIMITS.accounts, "vision": vision}), _SETTINGS)
        assert _slots(database)["gpus-vision"] == (16, True)

    def test_a_pool_that_somebody_changed_by_hand_is_put_right(self, database):
        pools.sync_pools(LIMITS, _SETTINGS)
        with database() as session:
            models.Pool.create_or_update_pool("gpus-vision", 4, "mine", include_deferred=False, session=session)
        pools.sync_pools(LIMITS, _SETTINGS)
        assert _slots(database)["gpus-vision"] == (4, True)

    def test_pools_of_others_are_left_alone(self, database):
        with database() as session:
            models.Pool.create_or_update_pool("theirs", 7, "", include_deferred=False, session=session)
        pools.sync_pools(LIMITS, _SETTINGS)
        assert _slots(database)["theirs"] == (7, False)


def _stored(database, name):
    with database() as session:
        found = session.scalar(select(models.Connection).where(models.Connection.conn_id == f"{MODEL_ID}.{name}"))
        return found.conn_type, found.login, found.password, found.extra_dejson


class TestVault:
    def test_both_stores_credentials_are_kept_under_the_trainings_name(self, database):
        connections.ConnectionVault().keep(MODEL_ID, _SUBMISSION)
        with database() as session:
            kept = set(session.scalars(select(models.Connection.conn_id)))
        assert kept == {f"{MODEL_ID}.data", f"{MODEL_ID}.results"}

    def test_those_of_s3_are_a_connection_of_aws_as_the_provider_reads_it(self, database):
        connections.ConnectionVault().keep(MODEL_ID, _SUBMISSION)
        assert _stored(database, "data") == (
            "aws",
            None,
            None,
            {
                "aws_access_key_id": "AKIADATA",
                "aws_secret_access_key": "key+of/data=s3cret",
                "endpoint_url": "https://objects.example.com",
            },
        )

    def test_those_of_swift_stay_as_they_were(self, database):
        connections.ConnectionVault().keep(MODEL_ID, _SUBMISSION)
        kind, login, password, extra = _stored(database, "results")
        assert (kind, login, extra) == ("generic", None, {})
        assert json.loads(password) == {"user": "ada", "secret": "pass@word: s3cret results"}

    def test_a_store_that_names_a_connection_keeps_none_and_forgetting_leaves_that_one(self, database):
        with database() as session:
            session.add(models.Connection(conn_id="team-bucket", conn_type="aws"))
        named = replace(SPEC, data=StoreRef("s3", "digits", "", connection="team-bucket"))
        vault = connections.ConnectionVault()
        vault.keep(MODEL_ID, Submission(named, None, Credentials("AKIADATA", "key+of/data=s3cret")))
        with database() as session:
            assert set(session.scalars(select(models.Connection.conn_id))) == {"team-bucket", f"{MODEL_ID}.results"}
        assert vault.ids() == {MODEL_ID}
        vault.forget(MODEL_ID)
        with database() as session:
            assert set(session.scalars(select(models.Connection.conn_id))) == {"team-bucket"}

    def test_what_is_kept_of_a_training_is_read_back_for_one_that_starts_from_it(self, database):
        vault, spec = connections.ConnectionVault(), _SUBMISSION.spec
        addresses = (None, Address("https://hooks.example.com/x", "s" * 16))
        vault.keep(MODEL_ID, replace(_SUBMISSION, addresses=addresses))
        found = vault.read(training(MODEL_ID, data=spec.data, results=spec.results))
        assert found.credentials(spec.data) == _SUBMISSION.data_credentials
        assert found.credentials(spec.results) == _SUBMISSION.results_credentials
        assert found.address("https://hooks.example.com/****") == addresses[1]
        vault.forget(MODEL_ID)
        assert vault.read(training(MODEL_ID)) == Earlier([], [])

    def test_their_secret_is_masked_wherever_a_process_that_read_it_logs(self, database):
        from airflow.sdk.log import redact

        connections.ConnectionVault().keep(MODEL_ID, _SUBMISSION)
        connections.open_served(SPEC.data, f"{MODEL_ID}.data", _SETTINGS)
        connections.open_served(_SUBMISSION.spec.results, f"{MODEL_ID}.results", _SETTINGS)
        assert redact("the key is key+of/data=s3cret here") == "the key is *** here"
        assert redact("and pass@word: s3cret results there") == "and *** there"

    def test_the_database_holds_no_secret_in_the_clear(self, database):
        connections.ConnectionVault().keep(MODEL_ID, _SUBMISSION)
        with database() as session:
            rows = str(session.execute(text("select * from connection")).all())
        assert f"{MODEL_ID}.data" in rows
        assert "s3cret" not in rows
        assert "AKIADATA" not in rows

    def test_a_forgotten_training_leaves_no_credentials_and_others_keep_theirs(self, database):
        vault = connections.ConnectionVault()
        vault.keep(MODEL_ID, _SUBMISSION)
        vault.keep("training-Xz81mQ0aB", _SUBMISSION)
        assert connections.open_served(_SUBMISSION.spec.results, f"{MODEL_ID}.results", _SETTINGS)
        vault.forget(MODEL_ID)
        with pytest.raises(TrainyardError, match="not kept any more"):
            connections.open_served(_SUBMISSION.spec.results, f"{MODEL_ID}.results", _SETTINGS)
        vault.forget(MODEL_ID)
        with database() as session:
            kept = set(session.scalars(select(models.Connection.conn_id)))
        assert kept == {"training-Xz81mQ0aB.data", "training-Xz81mQ0aB.results"}
