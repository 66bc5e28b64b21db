"""Ports on loopback."""

from __future__ import annotations

import socket

_NEAR = 50


def pick_port(usual: int) -> int:
    """Return the usual port if nobody listens on it, else one soon after it, else any free one.

    One near it first: what the system hands out by itself it also hands to clients, and a server that is started again
    would then find its port taken.
    """
    for port in (*range(usual, min(usual + _NEAR, 65536)), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise OSError("no free port on loopback")
