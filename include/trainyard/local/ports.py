"""Ports on loopback."""

from __future__ import annotations

import socket


def pick_port(usual: int) -> int:
    """Return the usual port if nobody listens on it, else a free one."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise OSError("no free port on loopback")
