"""boto3's sessions: each caller's own, what they read from disk read once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from botocore.loaders import JSONFileLoader

from trainyard.domain.training import Credentials
from trainyard.stores.s3 import sessions

_KEYS = sessions.signing_keys(Credentials("key", "never told"))


def test_every_caller_has_a_session_of_its_own():
    assert sessions.new_session(_KEYS) is not sessions.new_session(_KEYS)


def test_what_one_session_has_read_no_other_reads_again(monkeypatch):
    sessions.read_ahead()

    def read(*_):
        raise AssertionError("it was read from disk again")

    monkeypatch.setattr(JSONFileLoader, "load_file", read)
    assert sessions.new_session(_KEYS).client("s3", region_name="us-east-1").meta.service_model.service_name == "s3"


def test_clients_that_are_made_at_once_keep_their_own_credentials():
    def made(number):
        keys = sessions.signing_keys(Credentials(f"key-{number}", "never told"))
        where = {"region_name": "us-east-1", "endpoint_url": f"http://store-{number}.example"}
        client = sessions.new_session(keys).client("s3", **where)
        return client._request_signer._credentials.access_key, client.meta.endpoint_url

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(made, range(24)))
    assert found == [(f"key-{number}", f"http://store-{number}.example") for number in range(24)]
