"""Which of the addresses that a name was resolved to may be connected to."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from trainyard.domain.addresses import Address, AddressPolicy, embedded


def allowed(policy: AddressPolicy, host: str, port: int, found: list[Any]) -> tuple[list[Any], str]:
    """Return those rows of getaddrinfo's that the policy allows, and why there is none if there is none."""
    own = set() if policy.unrestricted else _own(policy.denied_names, found)
    reasons = [policy.refusal_of_address(host, port, _address(row), own) for row in found]
    rows = [row for row, reason in zip(found, reasons, strict=True) if not reason]
    return rows, "" if rows else next(filter(None, reasons), "it has no address")


def _own(names: tuple[str, ...], found: list[Any]) -> set[Address]:
    """Return which of the addresses are this machine's, and all that the names stand for."""
    own = {_address(row) for row in found if _is_this_machine(row)}
    for name in names:
        with suppress(OSError, UnicodeError):
            own |= {embedded(_address(row)) for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    return own


def _is_this_machine(row: Any) -> bool:
    # Nothing is sent: the kernel chooses the address that it would send from, which is the same one at home only.
    with suppress(OSError), socket.socket(row[0], socket.SOCK_DGRAM) as probe:
        probe.connect(row[4])
        return bool(probe.getsockname()[0] == row[4][0])
    return False


def _address(row: Any) -> Address:
    return ip_address(row[4][0].partition("%")[0])
