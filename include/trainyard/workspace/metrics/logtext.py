"""Metrics in a program's log: the manifest's patterns over its lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from trainyard.domain.metricrules import LogPattern, PatternError, compiled
from trainyard.workspace.metrics.curves import Seen, named, number

SOURCE = "log"
# What of a line patterns see.
MAX_LINE = 4096
_MAX_MATCHES = 20


class LogPatterns:
    """The patterns of a manifest, compiled; `window` are the lines that a pattern over several may still need."""

    def __init__(self, patterns: Iterable[LogPattern], window: Iterable[bytes] = ()) -> None:
        own: list[tuple[LogPattern, Any]] = []
        anchored: list[tuple[LogPattern, Any]] = []
        for pattern in patterns:
            try:
                (anchored if pattern.anchored else own).append((pattern, compiled(pattern.pattern)))
            except PatternError:  # the door and the rules tell it
                continue
        self._own, self._anchored = own, anchored
        self._lines = max((pattern.lines for pattern, _ in anchored), default=0)
        self.window = deque(window, maxlen=max(self._lines, 1))

    def read(self, line: bytes) -> Iterator[Seen]:
        """Yield the values that the patterns find once this line is there too."""
        line = line[:MAX_LINE]
        for pattern, regex in self._own:
            for count, match in enumerate(regex.finditer(line)):
                if count >= _MAX_MATCHES:
                    break
                yield from _values(pattern, match)
        if self._anchored:
            yield from self._read_window(line)

    def _read_window(self, line: bytes) -> Iterator[Seen]:
        self.window.append(line)
        text = b"\n".join([*self.window, b""])
        for pattern, regex in self._anchored:
            match = regex.search(text)
            if match is not None:
                yield from _values(pattern, match)
                self.window.clear()
                return


def _values(pattern: LogPattern, match: Any) -> Iterator[Seen]:
    step = number(_group(match, pattern.step)) if pattern.step else None
    for name, group in pattern.values.items():
        value = number(_group(match, group))
        if value is not None:
            yield Seen(named(name), step, None, value)


def _group(match: Any, group: str) -> str | None:
    if group.startswith("="):
        return group[1:]
    found = match.group(int(group) if group.isdigit() else group.encode())
    return None if found is None else found.decode("latin-1").strip()
