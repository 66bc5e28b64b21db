"""How the local cluster listens."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from localkube.__main__ import _listen
from trainyard.errors import TrainyardError


def test_a_connection_sends_at_once_what_it_is_given():
    with closing(_listen(0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_refused_with_its_number():
    with closing(_listen(0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TrainyardError, match=str(port)):
            _listen(port)
