"""Read the values of a manifest into the domain's terms; whatever cannot be read becomes a fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.earlier import NOTHING_EARLIER, Earlier
from trainyard.domain.hyperparameters import Value, fault_of_name
from trainyard.domain.limits import Limits
from trainyard.domain.notification import ANYBODY, Notifying
from trainyard.domain.ownstores import FindStore
from trainyard.domain.training import Author
from trainyard.manifest.commandtext import command_text
from trainyard.manifest.document import Document, Path
from trainyard.manifest.exitcode import lost_exit_codes
from trainyard.manifest.faults import Faults
from trainyard.manifest.layout import Layout, first_given
from trainyard.manifest.masking import is_credential

_AUTHOR = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>\s*")


@dataclass(frozen=True)
class Values:
    """Reads one document. What a method cannot read is noted in `faults` and comes back as None.

    `connections` are those that the account's manifests may name, None where only the service knows; `trackers` those
    that they may name as tracking, `notifying` whom they may notify. `find_store` says which connection a store of
    the submitter's own is; `earlier` has what masked values stand for.
    """

    document: Document
    layout: Layout
    limits: Limits
    faults: Faults
    addresses: AddressPolicy = ANYWHERE
    connections: Sequence[str] | None = None
    trackers: Sequence[str] | None = None
    notifying: Notifying = ANYBODY
    find_store: FindStore = lambda _: None
    earlier: Earlier = NOTHING_EARLIER
    warnings: list[str] = field(default_factory=list)

    def text(self, path: Path | None) -> str | None:
        """Return the source text of a value; None if there is none, or it has a fault."""
        if path is None or path in self.faults or self.document.value(path) is None:
            return None
        text = self.document.text(path)
        return text.strip() or None if text else None

    def warn(self, path: Path, sentence: str, line: int | None = None) -> None:
        line = line or self.document.nearest_position(path)[0]
        warning = f"line {line}: {sentence}"
        if warning not in self.warnings:
            self.warnings.append(warning)

    def author(self) -> Author | None:
        path = self.layout.author
        if path is None:
            return None
        if text := self.text(path):
            match = _AUTHOR.fullmatch(text)
            if match:
                return Author(match["name"].strip(), match["email"].strip())
            return Author(email=text) if "@" in text else Author(name=text)
        # The German text of 2017 calls the keys Name and E-Mail.
        name, email = (
            first_given(self.document, path, "name", "Name"),
            first_given(self.document, path, "email", "E-Mail"),
        )
        author = Author(self.text(name) or "", self.text(email) or "")
        return author if str(author) else None

    def keeps_its_digits(self, path: Path) -> bool:
        """Say whether a version is the same once YAML has taken it for a number: `1.5` is, `0.10` is not."""
        value, text = self.document.value(path), self.document.text(path)
        if not isinstance(value, float):
            return True
        if repr(value) == text:
            self.warn(path, f'version {text} is a number to YAML; write "{text}" in quotes')
            return True
        message = f"version {text} is a number to YAML, which reads it as {value!r}."
        self.faults.add(path, message, f'Write "{text}" in quotes.')
        return False

    def command(self) -> str | None:
        """Return the command as the shell gets it, and warn of line ends that do not mean what they show."""
        path = self.layout.command
        if self.text(path) is None:
            return None
        found = command_text(self.document.text(path) or "", folded=self.document.is_folded(path))
        if found.warning:
            self.warn(path, found.warning)
        for sentence in lost_exit_codes(found.text):
            self.warn(path, sentence)
        return found.text

    def integer(self, path: Path | None) -> int | None:
        """Return a whole number; None if there is none, or it has a fault."""
        return None if path is None or self.text(path) is None else int(self.document.value(path))

    def hyperparameters(self) -> dict[str, Value]:
        """Return the hyperparameters in the order of the file; a name without a value counts as not given."""
        path = self.layout.hyperparameters
        given = self.document.value(path) if path else None
        if path is None or not isinstance(given, dict):
            return {}
        found = {name: value for name, value in given.items() if value is not None}
        for name, value in found.items():
            place = (*path, name)
            if fault := fault_of_name(name):
                self.faults.add(place, *fault, at_key=True)
            elif isinstance(value, str) and is_credential(name):
                self.warn(
                    place, f"everybody who may see the run sees the value of {name[:60]}; it must not be a secret"
                )
        return found
