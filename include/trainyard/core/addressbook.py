"""The addresses that people and accounts keep by name: here what may be shown of each, its secret in a connection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from trainyard.core.catalogue import Catalogue
from trainyard.core.holders import holders_of
from trainyard.domain.notification import Address
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.workspace.locks import locked

MAX_KEPT = 50
_LOCK = ".lock"


def address_connection(holder: Holder, name: str) -> str:
    """Name the connection that keeps an address."""
    return f"notify.{holder.kind}.{_digest(holder)}.{name}"


def _digest(holder: Holder) -> str:
    # Names of people may hold anything, and connections and files may not.
    return hashlib.sha256(f"{holder.kind}\0{holder.name}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Kept:
    """An address as people may see it. `every_run` says that it is notified of all runs of its holder."""

    holder: Holder
    name: str
    shown: str
    events: tuple[str, ...] = ()
    every_run: bool = False

    @property
    def connection(self) -> str:
        return address_connection(self.holder, self.name)


class AddressVault(Protocol):
    """Keeps addresses with their secrets, encrypted."""

    def keep_address(self, connection: str, address: Address) -> None: ...

    def forget_address(self, connection: str) -> None: ...


@dataclass(frozen=True)
class AddressBook:
    """What is shown of the addresses that are kept: a file for each holder in a folder of the service's."""

    folder: Path

    @classmethod
    def beside(cls, catalogue: Catalogue) -> AddressBook:
        return cls(catalogue.folder / "addresses")

    def names(self, owner: str, account: str) -> Collection[str]:
        """Return the names that a manifest of somebody's, for an account, may notify."""
        return {kept.name for holder in holders_of(owner, account) for kept in self.of(holder)}

    def of(self, holder: Holder) -> list[Kept]:
        """Return a holder's addresses by name."""
        return [self._read(holder, row) for row in self._rows(holder)]

    def find(self, holder: Holder, name: str) -> Kept | None:
        return next((kept for kept in self.of(holder) if kept.name == name), None)

    def keep(self, kept: Kept, address: Address, vault: AddressVault) -> None:
        """Keep an address in the place of one of the same name; raise TrainyardError C110 if there are too many."""
        with self._locked():
            others = [each for each in self.of(kept.holder) if each.name != kept.name]
            if len(others) >= MAX_KEPT:
                raise TrainyardError("C110", f"{MAX_KEPT} addresses are kept already", "Remove one of them.")
            vault.keep_address(kept.connection, address)
            self._write(kept.holder, [*others, kept])

    def remove(self, kept: Kept, vault: AddressVault) -> None:
        with self._locked():
            self._write(kept.holder, [each for each in self.of(kept.holder) if each.name != kept.name])
            vault.forget_address(kept.connection)

    def _locked(self) -> contextlib.AbstractContextManager[Any]:
        return locked(self.folder / _LOCK)

    def _path(self, holder: Holder) -> Path:
        return self.folder / f"{holder.kind}-{_digest(holder)}.json"

    def _rows(self, holder: Holder) -> list[Mapping[str, Any]]:
        try:
            found = json.loads(self._path(holder).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return []
        return found if isinstance(found, list) else []

    def _read(self, holder: Holder, row: Mapping[str, Any]) -> Kept:
        return Kept(holder, row["name"], row["shown"], tuple(row.get("events", ())), bool(row.get("every_run")))

    def _write(self, holder: Holder, kept: Iterable[Kept]) -> None:
        rows = [asdict(each) for each in sorted(kept, key=lambda each: each.name)]
        data = [{key: value for key, value in row.items() if key != "holder"} for row in rows]
        path = self._path(holder)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps(data), encoding="utf-8")
        aside.replace(path)
