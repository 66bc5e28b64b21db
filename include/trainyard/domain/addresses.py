"""Which addresses the stores of manifests may have: rules alone, without a look at the network."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from trainyard.settings import Settings

Address: TypeAlias = IPv4Address | IPv6Address

HINT = "Use the address of an object store; whoever runs the service can allow it with TRAINYARD_STORE_INTERNAL."
_LOOPBACK = IPv4Address("127.0.0.1")
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
# What clouds answer credentials of the machine at, where it is no link-local address: AWS, Alibaba, Azure.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
# IPv6 addresses that hold an IPv4 address, which is where they lead: after so many bits of the prefix.
_EMBEDDING = (
    (ip_network("::ffff:0:0/96"), 0),
    (ip_network("64:ff9b::/96"), 0),
    (ip_network("::/96"), 0),
    (ip_network("2002::/16"), 80),
)


def split_url(url: str) -> SplitResult | None:
    """Take a URL apart; None for what is none, also where only its port is no number."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


@dataclass(frozen=True)
class AddressPolicy:
    """What the stores of manifests may be connected to; by default all but this machine's inside.

    `hosts` are the only ones if there are any: patterns of names, and networks. `internal` are hosts with ports that
    are fine wherever they are. `denied` are names, addresses and networks of the service itself.
    """

    hosts: tuple[str, ...] = ()
    internal: tuple[tuple[str, int], ...] = ()
    denied: tuple[str, ...] = ()
    unrestricted: bool = False

    @classmethod
    def of(cls, settings: Settings) -> AddressPolicy:
        """Read the policy from the settings `store_hosts`, `store_internal` and `store_denied`."""
        return cls(settings.store_hosts, settings.store_internal, settings.store_denied)

    def refusal_of_url(self, url: str) -> str:
        """Say why an address as it is written is refused; empty where it is not, or only its resolution can tell."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return "it is no address"
        return self.refusal_of_host(parts.hostname or "", port)

    def refusal_of_host(self, host: str, port: int) -> str:
        """Say why a host as it is written is refused; empty where it is not, or only its resolution can tell."""
        host = _plain(host)
        if self.unrestricted or self._is_internal(host, port, None):
            return ""
        address = literal(host)
        if address is not None:
            return self.refusal_of_address(host, port, address)
        if host in self.denied:
            return "it belongs to the service itself"
        names_only = self.hosts and not any(map(_network, self.hosts))
        return _NOT_NAMED if names_only and not self._is_named(host, None) else ""

    def refusal_of_address(self, host: str, port: int, address: Address, own: Collection[Address] = frozenset()) -> str:
        """Say why what a host was resolved to is refused; `own` are addresses of this machine and of the service."""
        host, address = _plain(host), embedded(address)
        if self.unrestricted or self._is_internal(host, port, address):
            return ""
        if reason := _special(address):
            return reason
        if host in self.denied or address in own or any(address in found for found in self._denied_networks()):
            return "it belongs to the service itself"
        return "" if not self.hosts or self._is_named(host, address) else _NOT_NAMED

    def is_trusted(self, url: str) -> bool:
        """Say whether whoever runs the service has named the host: it is no stranger's then."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return False
        host = _plain(parts.hostname or "")
        return self.unrestricted or self._is_internal(host, port, literal(host)) or self._is_named(host, None)

    @property
    def denied_names(self) -> tuple[str, ...]:
        """The denied hosts whose addresses a resolver knows."""
        return tuple(each for each in self.denied if _network(each) is None)

    def _is_internal(self, host: str, port: int, address: Address | None) -> bool:
        address = address or literal(host)
        return any(
            port == allowed_port and (host == _plain(allowed) or (address is not None and address == literal(allowed)))
            for allowed, allowed_port in self.internal
        )

    def _is_named(self, host: str, address: Address | None) -> bool:
        networks = (_network(pattern) for pattern in self.hosts)
        if address is not None and any(address in network for network in networks if network):
            return True
        return any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts)

    def _denied_networks(self) -> list[Any]:
        return [network for each in self.denied if (network := _network(each))]


_NOT_NAMED = "it is none of the hosts in TRAINYARD_STORE_HOSTS"
# For the stores that whoever runs the service names in settings.
ANYWHERE = AddressPolicy(unrestricted=True)


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, in any spelling that resolvers take; None for a name."""
    bare = _plain(host).partition("%")[0]
    if bare in _LOCAL_NAMES or bare.endswith(".localhost"):
        return _LOOPBACK
    with suppress(ValueError):
        return embedded(ip_address(bare))
    with suppress(OSError, UnicodeError, ValueError):
        return IPv4Address(socket.inet_aton(bare))  # 127.1, 0x7f000001, 017700000001, 2130706433
    return None


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address holds; any other address as it is."""
    if isinstance(address, IPv6Address) and address not in (IPv6Address("::"), IPv6Address("::1")):
        for network, shift in _EMBEDDING:
            if IPv6Address(int(address)) in network:
                return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _special(address: Address) -> str:
    if address.is_loopback:
        return "it is a loopback address"
    if address.is_unspecified or (isinstance(address, IPv4Address) and address in ip_network("0.0.0.0/8")):
        return "it is an unspecified address"
    if address.is_link_local or address in _METADATA:
        return "it is a link-local address"
    if address.is_multicast:
        return "it is a multicast address"
    return "it is a reserved address" if isinstance(address, IPv4Address) and address.is_reserved else ""


def _network(text: str) -> Any:
    with suppress(ValueError):
        return ip_network(text.strip("[]"), strict=False)
    return None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
