"""S3 behind a certificate of an authority of one's own."""

from __future__ import annotations

import datetime
import hashlib
import io
import ipaddress
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from samples import SPEC
from storeservers import KEY, SECRET, free_port, stop, wait_for

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment
from trainyard.settings import read_settings
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.opening import open_store
from trainyard.stores.s3.sessions import signing_keys
from trainyard.stores.s3.small import SmallObjects, bucket_of

pytestmark = pytest.mark.xdist_group("s3 tls")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, and a certificate of 127.0.0.1 with its key beside it; return the authority's."""
    folder, keys = tmp_path_factory.mktemp("tls"), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority, server = _issued("authority", keys[0], keys[0]), _issued("127.0.0.1", keys[1], keys[0])
    (folder / "certificate.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder / "certificate.pem"


def _issued(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in ("authority", name)]
    now, is_authority = datetime.datetime.now(datetime.UTC), key is by
    made = x509.CertificateBuilder(names[0], names[1], key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now.replace(year=2099))
    made = made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if not is_authority:
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        made = made.add_extension(address, critical=False)
    return made.sign(by, hashes.SHA256())


@pytest.fixture(scope="module")
def ref(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreRef]:
    folder, port = tmp_path_factory.mktemp("buckets"), free_port()
    (folder / "bucket").mkdir()
    command = objectstore_command(find_rclone(), folder, port)
    command += ["--cert", str(certificate.with_name("server.pem")), "--key", str(certificate.with_name("key.pem"))]
    server = subprocess.Popen(
        command,
        env=objectstore_environment(os.environ, KEY, SECRET),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = replace(SPEC.data, bucket="bucket", endpoint=f"https://127.0.0.1:{port}")
    try:
        wait_for(lambda: "no connection" not in refusal_of(store_of(made)), 120)
        yield made
    finally:
        stop(server)


def store_of(ref: StoreRef, ca_bundle: str = "") -> Store:
    return open_store(ref, Credentials(KEY, SECRET), read_settings({"TRAINYARD_CA_BUNDLE": ca_bundle}), ANYWHERE)


def refusal_of(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        list(store.list())
    assert caught.value.why is Why.UNREACHABLE
    return f"{caught.value.message} {caught.value.hint}"


def test_an_untrusted_certificate_is_told_with_the_setting_that_trusts_it(ref: StoreRef) -> None:
    reported = refusal_of(store_of(ref))
    assert "its certificate is not trusted" in reported
    assert "TRAINYARD_CA_BUNDLE" in reported


def test_a_certificate_of_the_ca_bundle_is_trusted(ref: StoreRef, certificate: Path) -> None:
    store = store_of(ref, str(certificate))
    store.put("a", io.BytesIO(b"content"), 7)
    assert [entry.key for entry in store.list()] == ["a"]


def test_small_objects_are_trusted_to_the_ca_bundle_too(ref: StoreRef, certificate: Path) -> None:
    digest = hashlib.md5(b"content").hexdigest()
    keys = signing_keys(Credentials(KEY, SECRET))
    small = SmallObjects(bucket_of(ref, keys, "us-east-1", virtual=False, ca_bundle=str(certificate)))
    assert small.put("small", b"content") == digest
    assert small.get("small", digest) == b"content"
    assert SmallObjects(bucket_of(ref, keys, "us-east-1", virtual=False)).get("small", digest) is None


def test_https_to_a_server_without_tls_is_told(one_machine_server: object) -> None:
    endpoint = one_machine_server.endpoint.replace("http:", "https:")  # type: ignore[attr-defined]
    assert "there is no TLS" in refusal_of(store_of(replace(SPEC.data, endpoint=endpoint)))
