"""A manifest can be shown to people without its credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from intake_samples import FFDL, MANIFEST, SWIFT, change

from trainyard.manifest.document import read_document
from trainyard.manifest.masking import is_credential, mask_url, shown
from trainyard.manifest.reading import masked_manifest

NO_YAML = "IBM__audioset-classification__training-runs@cbffefba.yml"
FILES = [path for path in sorted((Path(__file__).parents[1] / "manifests").glob("*.yml")) if path.name != NO_YAML]


def differences(before, after, path=()):
    if isinstance(before, dict):
        for key in before:
            yield from differences(before[key], after[key], (*path, key))
    elif isinstance(before, list):
        for old, new in zip(before, after, strict=True):
            yield from differences(old, new, path)
    elif before != after:
        yield path[-1], after


@pytest.mark.parametrize(
    ("text", "hidden"),
    [(MANIFEST, {"aws_access_key_id", "aws_secret_access_key"}), (FFDL, {"user_name", "password"})],
)
def test_only_the_credentials_are_hidden(text, hidden):
    before, after = (read_document(each.encode(), 2**20).data for each in (text, masked_manifest(text.encode())))
    assert set(differences(before, after)) == {(key, "****") for key in hidden}


def test_nothing_secret_is_left_in_comments_anchors_or_urls():
    text = change(MANIFEST, "AKIAEXAMPLE", "&key AKIAEXAMPLE # old: AKIAOLD")
    text = change(text, "description: Digits.", "description: see https://ada:sEcReT2@example.com/x")
    masked = masked_manifest(text.encode())
    assert not {"AKIAEXAMPLE", "AKIAOLD", "sEcReT"} & set(masked.replace("/", " ").split())
    assert "sEcReT2" not in masked
    assert "https://****@example.com/x" in masked


def test_the_command_stays_as_it_is():
    command = "python3 x.py --token abc --url https://a:b@example.com"
    text = change(MANIFEST, "python3 convolutional_network.py --data ${DATA_DIR}", command)
    assert command in masked_manifest(text.encode())


def test_names_in_any_script_stay_readable():
    assert "Größe 東京" in masked_manifest(change(MANIFEST, "Digits.", "Größe 東京").encode())


def test_a_number_is_masked_like_text():
    text = change(MANIFEST, "sEcReT/1", "12345678")
    assert "12345678" not in masked_manifest(text.encode())


def test_a_connection_shared_by_an_anchor_is_masked_wherever_it_is_used():
    text = "a: &c {password: sEcReT}\nb: *c\nd: {<<: *c}\n"
    assert masked_manifest(text.encode()).count("****") == 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:60])
def test_every_real_manifest_that_can_be_read_can_be_masked(path):
    masked = masked_manifest(path.read_bytes())
    assert "REDACTED" not in masked
    assert read_document(masked.encode(), 2**20).data


@pytest.mark.parametrize(
    "key",
    ["access_key_id", "aws_access_key_id", "secret_access_key", "user_name", "userId", "username", "password", "token",
     "apikey", "Secret", "passwd"],
)  # fmt: skip
def test_credentials_are_known_by_their_keys(key):
    assert is_credential(key)


@pytest.mark.parametrize(
    "key", ["endpoint_url", "auth_url", "bucket", "region", "domain_name", "project_id", "type", "name"]
)
def test_other_keys_are_no_credentials(key):
    assert not is_credential(key)


def test_what_a_message_shows_is_short_and_on_one_line():
    assert shown("description", "a\nb\n" * 500) == ("a b " * 20) + "…"
    assert shown("password", "sEcReT") == "****"
    assert mask_url("x https://a:b@c/d y s3://u@v") == "x https://****@c/d y s3://****@v"


def test_swift_credentials_are_masked_too():
    masked = masked_manifest(("connection:\n" + SWIFT).encode())
    assert "ada" not in masked
    assert "sEcReT" not in masked
    assert "dallas" in masked
