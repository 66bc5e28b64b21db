"""How a server starts: its folder, its lock, its port, its certificate; and which arguments are refused."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import closing

import pytest

from localkube.__main__ import main
from localkube.access import make_certificates
from localkube.errors import LocalkubeError
from localkube.server import listen, lock, make_private


def test_it_listens_on_loopback_alone():
    with closing(listen(0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_connection_sends_at_once_what_it_is_given():
    with closing(listen(0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_refused_with_its_number():
    with closing(listen(0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LocalkubeError, match=str(port)):
            listen(port)


def test_a_folder_that_was_open_is_closed_to_others(tmp_path):
    tmp_path.chmod(0o755)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path, capsys):
    os.chown(tmp_path, 12345, -1)
    assert main(["serve", "--folder", str(tmp_path)]) == 1
    assert "belongs to another user (uid 12345)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_server(tmp_path):
    with lock(tmp_path), pytest.raises(LocalkubeError, match="already runs"):
        lock(tmp_path)
    lock(tmp_path).close()


class TestCertificates:
    def test_they_are_made_once_and_private(self, tmp_path):
        paths = make_certificates(tmp_path)
        before = {path: path.read_bytes() for path in (paths.authority, paths.server, paths.key)}
        assert make_certificates(tmp_path) == paths
        assert {path: path.read_bytes() for path in before} == before
        assert {path.stat().st_mode & 0o777 for path in before} == {0o600}

    def test_a_client_that_trusts_the_authority_accepts_the_server_by_address_and_name(self, tmp_path):
        paths = make_certificates(tmp_path)
        for name in ("127.0.0.1", "localhost"):
            assert _handshake(paths, name)["notAfter"].endswith("3000 GMT")
        with pytest.raises(ssl.SSLCertVerificationError):
            _handshake(paths, "10.0.0.1")

    def test_the_authoritys_key_is_not_kept(self, tmp_path):
        paths = make_certificates(tmp_path)
        keys = [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
        assert keys == [paths.key]


def _handshake(paths, name: str) -> dict:
    """Return the server's certificate as a client sees it that checks it."""
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(paths.authority))
    ours.load_cert_chain(paths.server, paths.key)
    ways = (ssl.MemoryBIO(), ssl.MemoryBIO())
    server = ours.wrap_bio(*ways, server_side=True)
    client = theirs.wrap_bio(*reversed(ways), server_hostname=name)
    for each in (client, server, client, server):
        try:
            each.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--host"),
        (["--phase-lag=-1"], "--phase-lag"),
        (["--phase-lag=11"], "--phase-lag"),
        (["--phase-lag=soon"], "--phase-lag"),
        (["--phase-lag=nan"], "--phase-lag"),
        (["--gpus", "-1"], "--gpus"),
        (["--gpus", "1", "--gpu-devices", "3"], "not allowed with"),
        (["--claim", "name=/x"], "NAMESPACE/NAME=DIR"),
        (["--env", "=x"], "NAME=VALUE"),
        (["--env", "x"], "NAME=VALUE"),
        (["--hide", "/no/such/folder"], "nothing to hide"),
        (["--python", "/no/such/folder"], "has no bin/python"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_before_anything_starts(arguments, words, tmp_path, capsys):
    folder = tmp_path / "it"
    with pytest.raises(SystemExit):
        main(["serve", "--folder", str(folder), *arguments])
    assert words in capsys.readouterr().err
    assert not folder.exists()
