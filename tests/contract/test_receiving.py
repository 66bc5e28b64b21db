"""An object that comes from a client into every kind of store: whole and as announced, or not at all."""

from __future__ import annotations

import hashlib
import io

import pytest
from everystore import LARGE, get, put

from trainyard.errors import TrainyardError
from trainyard.stores.base import Store
from trainyard.stores.moving.receiving import receive


class Coming(io.BytesIO):
    """Comes in pieces of odd sizes, as from a network, and breaks off where it is told to."""

    def __init__(self, content: bytes, breaks_at: int | None = None) -> None:
        super().__init__(content)
        self._breaks_at = breaks_at

    def read(self, size: int | None = -1) -> bytes:
        if self._breaks_at is not None and self.tell() >= self._breaks_at:
            raise TrainyardError("C110", "the client has left", "")
        return super().read(min(size or -1, 700_001))


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"content", LARGE], ids=["empty", "small", "large"])
def test_what_arrives_is_stored_as_it_is(store: Store, content: bytes) -> None:
    put(store, "ünï/日本語.bin", b"before")
    stored = receive(store, "ünï/日本語.bin", Coming(content), len(content), _md5(content))
    assert (stored.key, stored.size) == ("ünï/日本語.bin", len(content))
    assert _md5(get(store, "ünï/日本語.bin")) == _md5(content)


def test_of_a_large_one_in_parts_nothing_is_left_when_the_client_breaks_off(parted: Store) -> None:
    put(parted, "old", b"before")
    for key in ("new", "old"):
        with pytest.raises(TrainyardError, match="the client has left"):
            receive(parted, key, Coming(LARGE, 20 * 1024 * 1024), len(LARGE))
        assert not parted.in_parts(key, len(LARGE), resume=True).stored  # type: ignore[union-attr]
    assert [entry.key for entry in parted.list()] == ["old"]
    assert get(parted, "old") == b"before"


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("harm", ["shorter", "another digest"])
def test_what_is_not_as_announced_leaves_what_was_there(store: Store, content: bytes, harm: str) -> None:
    put(store, "a", b"before")
    size = len(content) + (1 if harm == "shorter" else 0)
    with pytest.raises(TrainyardError) as refused:
        receive(store, "a", Coming(content), size, _md5(content if harm == "shorter" else b"other"))
    assert refused.value.code.code == "C110"
    assert get(store, "a") == b"before"
    assert [entry.key for entry in store.list()] == ["a"]
