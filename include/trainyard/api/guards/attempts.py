"""Failed logins and the waits they cause: exponential, with a cap, and forgotten after a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

_MAX_KEYS = 10_000
# So many failures are typing errors. Behind one address there may be many people.
_FREE = {"pair": 4, "name": 10, "address": 20}
_FORGOTTEN_SECONDS = 900.0
Key = tuple[Hashable, ...]


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0


class Attempts:
    """The logins of each user name, of each address, and of each pair of both; times in seconds.

    A pair that signed in before is slowed by its own failures alone, so that failures of strangers do not keep
    anybody out.
    """

    def __init__(self, max_delay: float, clock: Callable[[], float]) -> None:
        self._max_delay, self._clock = max_delay, clock
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()
        self._trusted: OrderedDict[Key, None] = OrderedDict()

    def wait(self, name: str, address: str) -> float:
        """Return the seconds until this user name may be tried from this address."""
        return max(self._wait(key) for key in self._judged(name, address))

    def begin(self, name: str, address: str) -> None:
        """Count an attempt as failed until it is known to be none: others may come before its end."""
        for key in _keys(name, address):
            failures = self._failures.setdefault(key, _Failures())
            failures.count, failures.last = self._count(failures) + 1, self._clock()
            self._failures.move_to_end(key)
        while len(self._failures) > _MAX_KEYS:
            self._failures.popitem(last=False)

    def withdraw(self, name: str, address: str) -> None:
        """Take an attempt back that was no guess, such as a malformed request."""
        for key in _keys(name, address):
            if key in self._failures:
                self._failures[key].count -= 1

    def succeed(self, name: str, address: str) -> None:
        """Forget the failures of the pair and of the name; those of the address count on."""
        self.withdraw(name, address)
        pair, by_name, _ = _keys(name, address)
        self._failures.pop(pair, None)
        self._failures.pop(by_name, None)
        self._trusted[pair] = None
        self._trusted.move_to_end(pair)
        if len(self._trusted) > _MAX_KEYS:
            self._trusted.popitem(last=False)

    def _judged(self, name: str, address: str) -> tuple[Key, ...]:
        keys = _keys(name, address)
        return keys[:1] if keys[0] in self._trusted else keys

    def _wait(self, key: Key) -> float:
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        beyond = self._count(failures) - _FREE[str(key[0])]
        # 2 ** 10 is beyond every sensible cap, and keeps the number small.
        delay = min(self._max_delay, 2.0 ** min(beyond, 10)) if beyond > 0 else 0.0
        return max(0.0, failures.last + delay - self._clock())

    def _count(self, failures: _Failures) -> int:
        return failures.count if self._clock() - failures.last < _FORGOTTEN_SECONDS else 0


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64 that one machine may choose from."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((found, 64), strict=False).network_address)
    return str(found)


def _keys(name: str, address: str) -> tuple[Key, Key, Key]:
    return ("pair", name, address), ("name", name), ("address", address)
