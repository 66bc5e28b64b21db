"""The pods that a run has had, reported by a file that no program reaches: the infrastructure may take only so many."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from trainyard.stores.tree import write_inside
from trainyard.workspace.layout import RunFolder

_NO_ROUND = -1


@dataclass(frozen=True)
class Attempts:
    """The attempts of a run, numbered from 1 over all rounds.

    A round is what a person starts by clearing the train step; each may have `most` attempts.
    """

    run: RunFolder
    round: int
    most: int

    @property
    def last(self) -> int:
        """The number of the newest attempt, 0 before the first."""
        noted = self._noted()
        return noted[-1][0] if noted else 0

    @property
    def spent(self) -> bool:
        """Say whether this round may have no further attempt."""
        return sum(round_ == self.round for _, round_ in self._noted()) >= self.most

    def give_back(self, number: int) -> None:
        """Count an attempt in no round any more: the cluster had no room for all of it, and no program has run."""
        self._write((each, _NO_ROUND if each == number else round_) for each, round_ in self._noted())

    def note(self, number: int) -> None:
        """Add an attempt; one that is there already stays as it is."""
        noted = self._noted()
        if not noted or number > noted[-1][0]:
            self._write([*noted, (number, self.round)])

    def _write(self, attempts: Iterable[tuple[int, int]]) -> None:
        lines = (f"{number} {round_}\n" for number, round_ in attempts)
        write_inside(self.run.root, self.run.attempts.name, "".join(lines).encode())

    def _noted(self) -> list[tuple[int, int]]:
        """Return number and round of each, in the order of their numbers: only a greater one is ever added."""
        with suppress(FileNotFoundError):
            pairs = (line.split() for line in self.run.attempts.read_text().splitlines())
            return [(int(number), int(round_)) for number, round_ in pairs]
        return []
