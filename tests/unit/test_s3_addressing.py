"""How requests to S3 are addressed and what goes with them, without a server."""

from __future__ import annotations

import io
from typing import Any

import pytest

from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings
from trainyard.stores.opening import open_store
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.s3.endpoint import client_config, region_of
from trainyard.stores.s3.http import S3Http

AWS = "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "addressing", "url"),
    [
        ("https://objects.example.com", "auto", "https://objects.example.com/digits/a%20b"),
        ("http://127.0.0.1:9000", "auto", "http://127.0.0.1:9000/digits/a%20b"),
        ("https://objects.example.com", "virtual", "https://digits.objects.example.com/a%20b"),
        (AWS, "auto", "https://digits.s3.eu-west-1.amazonaws.com/a%20b"),
        (AWS, "path", "https://s3.eu-west-1.amazonaws.com/digits/a%20b"),
        ("https://s3.amazonaws.com.evil.example", "auto", "https://s3.amazonaws.com.evil.example/digits/a%20b"),
    ],
)
def test_buckets_are_hosts_at_aws_and_paths_elsewhere(
    endpoint: str, addressing: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def send(http: S3Http, request: Any) -> Any:
        asked.append(request.url)
        raise OSError("nothing is sent")

    monkeypatch.setattr(S3Http, "send", send)
    store = S3Store(StoreRef("s3", "digits", endpoint), Credentials("key", "secret"), addressing=addressing)
    with pytest.raises(OSError, match="nothing is sent"):
        store.get("a b", io.BytesIO())
    assert asked == [url]


def test_new_checksums_are_for_aws_alone() -> None:
    assert client_config("https://objects.example.com", 1, "auto").request_checksum_calculation == "when_required"
    assert client_config("https://objects.example.com", 1, "auto").response_checksum_validation == "when_required"
    assert client_config(AWS, 1, "auto").request_checksum_calculation is None


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        (AWS, "eu-west-1"),
        ("https://s3-us-west-2.amazonaws.com", "us-west-2"),
        ("https://s3.dualstack.us-east-2.amazonaws.com", "us-east-2"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("https://s3.eu.objects.example.com", "us-east-1"),
    ],
)
def test_the_region_comes_from_an_endpoint_of_aws(endpoint: str, region: str) -> None:
    assert region_of(endpoint) == region


def test_neither_key_nor_secret_shows_in_a_store() -> None:
    store = S3Store(StoreRef("s3", "digits", AWS), Credentials("the-key", "the-secret"))
    assert "the-" not in repr(store) + store.place


@pytest.mark.parametrize("endpoint", ["file:///etc", "file:///allowed/../etc", "file:///allowed-too"])
def test_a_folder_is_opened_only_inside_the_allowed_one(endpoint: str) -> None:
    ref, nobody = StoreRef("folder", "bucket", endpoint), Credentials("", "")
    for allowed in ({}, {"TRAINYARD_FOLDER_STORES": "/allowed"}):
        with pytest.raises(TrainyardError) as caught:
            open_store(ref, nobody, read_settings(allowed))
        assert caught.value.code.code == "C101"


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(TrainyardError, match="no kind of store 'ftp'"):
        open_store(StoreRef("ftp", "b", "ftp://x"), Credentials("", ""), read_settings({}))
