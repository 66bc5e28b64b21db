"""Links in folders that programs of others write to: what they lead to inside counts, nothing outside is ever read.

A link is never followed by the kernel. Each is read, and what it names is walked to from the folder on, link by link,
to a path without links; only that path is opened, by functions that follow none. So whoever swaps a part of it
meanwhile has the service read something else inside, or nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from trainyard.stores.tree import (
    NO_TEXT,
    Found,
    is_text,
    link_inside,
    open_inside,
    shown,
    status_inside,
    walk,
    what_it_is,
)

# As many as Linux follows.
_MAX_LINKS = 40
_MAX_STEPS, _DEEPEST = 500, 200
# A program can make links to links to folders, which multiply; what they lead to is stored for each of them.
_MAX_LINKED, _MAX_FOLDERS = 10_000, 1_000
_FREE_BYTES, _TIMES = 1024**3, 10

OUTSIDE = "is a link that leads out of the run's folders"
MISSING = "is a link to nothing"
DEEP = "is a link that leads too deep"
CIRCLE = "is a link that leads in a circle"
_TOO_MANY = "is one link too many"


class LeadsOutError(FileNotFoundError):
    """Raised for a link that leads to no place where links may lead; `what` says how."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(errno.ENOENT, what, name)
        self.what = what


@dataclass(frozen=True)
class Ground:
    """A folder that links may lead around in: in all of it, or below these of its folders only.

    `aliases` are the absolute paths that the folder has for the programs which write to it.
    """

    root: Path
    tops: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def inside(self, target: str) -> str | None:
        """Return an absolute path as one below the folder, None if it lies elsewhere."""
        path = PurePosixPath(target)
        for alias in (*self.aliases, str(self.root)):
            if path.is_relative_to(alias):
                return str(path.relative_to(alias))
        return None


def resolve(ground: Ground, name: str) -> str:
    """Return the path without links of what a name leads to.

    Raise LeadsOutError, or FileNotFoundError if there is nothing.
    """
    way: list[str] = []
    todo, links, steps = deque(name.split("/")), 0, 0
    while todo:
        steps += 1
        if steps > _MAX_STEPS or len(way) > _DEEPEST:
            raise LeadsOutError(DEEP, name)
        part = todo.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            if not way:
                raise LeadsOutError(OUTSIDE, name)
            way.pop()
            continue
        if not way and ground.tops and part not in ground.tops:
            raise LeadsOutError(OUTSIDE, name)
        target = _read(ground, "/".join([*way, part]))
        if target is None:
            way.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise LeadsOutError(CIRCLE, name)
        if target.startswith("/"):
            way, target = [], ground.inside(target) or ".."
        todo.extendleft(reversed(target.split("/")))
    return "/".join(way)


def _read(ground: Ground, path: str) -> str | None:
    try:
        return link_inside(ground.root, path)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise LeadsOutError(MISSING, path) from None


def open_linked(ground: Ground, name: str) -> BinaryIO:
    """Open the file that a name leads to; raise FileNotFoundError if it is none, or does not lie on the ground."""
    return open_inside(ground.root, resolve(ground, name))


def scan_linked(ground: Ground, top: str = "") -> Found:
    """List a folder of the ground (the whole of it without `top`), with what links in it lead to.

    Names are relative to the folder; a link to a folder has that one's files below its own name. Raise PermissionError
    where a part of it cannot be read.
    """
    scan = _Scan(ground, f"{top}/" if top else "")
    scan.own()
    scan.linked()
    return Found(dict(sorted(scan.files.items())), dict(sorted(scan.others.items())))


@dataclass
class _Scan:
    ground: Ground
    top: str
    files: dict[str, int] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    _room: int = 0
    _count: int = 0
    _folders: int = 0

    def own(self) -> None:
        for path, kind in walk(self.ground.root, self.top):
            self._add(path.removeprefix(self.top), kind)
        self._room = max(_FREE_BYTES, _TIMES * sum(self.files.values()))

    def linked(self) -> None:
        # Nothing is followed before all that lies there itself is known, so that what is left out is links.
        for link in self.links:
            for name, kind in self._behind(link, self.top + link, ()):
                self._add_linked(name, kind)

    def _add(self, name: str, kind: os.stat_result) -> None:
        if not is_text(name):
            self.others[shown(name)] = NO_TEXT
        elif stat.S_ISLNK(kind.st_mode):
            self.links.append(name)
        else:
            self._put(name, kind)

    def _add_linked(self, name: str, kind: os.stat_result) -> None:
        self._count += 1
        self._room -= kind.st_size if stat.S_ISREG(kind.st_mode) else 0
        if not is_text(name):
            self.others[shown(name)] = NO_TEXT
        elif self._room < 0:
            self.others[name] = _TOO_MANY
        else:
            self._put(name, kind)

    @property
    def _is_spent(self) -> bool:
        return self._count > _MAX_LINKED or self._folders > _MAX_FOLDERS

    def _put(self, name: str, kind: os.stat_result) -> None:
        if stat.S_ISREG(kind.st_mode):
            self.files[name] = kind.st_size
        else:
            self.others[name] = what_it_is(kind.st_mode)

    def _behind(self, name: str, path: str, before: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        """Yield what a link leads to; `before` are the places of the links that have led to it."""
        self._count += 1
        if self._is_spent:
            self.others[name] = _TOO_MANY
            return
        try:
            target = resolve(self.ground, path)
            kind = status_inside(self.ground.root, target or ".")
        except LeadsOutError as error:
            self.others[name] = error.what
            return
        except FileNotFoundError:
            self.others[name] = MISSING
            return
        if not stat.S_ISDIR(kind.st_mode):
            yield name, kind
        elif any(f"{place}/".startswith(f"{target}/" if target else "") for place in (*before, path)):
            self.others[name] = CIRCLE
        else:
            self._folders += 1
            yield from self._below(name, target, (*before, path))

    def _below(self, name: str, folder: str, before: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        for path, kind in walk(self.ground.root, f"{folder}/"):
            if self._is_spent:
                self.others[name] = f"{_TOO_MANY}: not all of its files are stored"
                return
            inner = f"{name}/{path.removeprefix(f'{folder}/')}"
            if not stat.S_ISLNK(kind.st_mode):
                yield inner, kind
            elif is_text(inner):
                yield from self._behind(inner, path, before)
            else:
                self.others[shown(inner)] = NO_TEXT
