"""Keys that are to become files below one folder."""

from __future__ import annotations

from collections.abc import Iterable

from trainyard.stores.base import StoreError, Why, check_key


def check_keys(keys: Iterable[str]) -> None:
    """Raise StoreError BAD_KEY if the keys cannot all be files below one folder; it names the keys."""
    way = KeysInOrder()
    for key in sorted(keys):
        way.check(key)


class KeysInOrder:
    """Checks keys that come in their order, as stores list them; what leads to the last one is all it remembers."""

    def __init__(self) -> None:
        self._before: list[str] = []

    def check(self, key: str) -> str:
        """Return the key; raise StoreError BAD_KEY if it cannot be a file beside those before it."""
        check_key(key)
        while self._before and not key.startswith(self._before[-1]):
            self._before.pop()
        for other in self._before:
            if key.startswith(f"{other}/"):
                message = f"{other!r} cannot be a file, since {key!r} needs a folder of that name"
                raise StoreError(Why.BAD_KEY, message, "Rename one of the two objects.")
        self._before.append(key)
        return key
