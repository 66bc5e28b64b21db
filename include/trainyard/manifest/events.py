"""The events of a YAML text: from libyaml, or from PyYAML's own scanner on a machine that has its wheel without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError


class PurePythonParser(Reader, Scanner, Parser):
    """PyYAML's own parser, which reads what libyaml reads: tabs between tokens and between the words of a text."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> Any:
        """Skip what separates tokens, tabs included where no line may begin."""
        while True:
            super().scan_to_next_token()
            if (self.allow_simple_key and not self.flow_level) or self.peek() != "\t":
                return
            self._skip_blanks()

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> Any:
        """Take blanks and tabs between the words of a text; only the tabs within a line are kept."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        if "\t" in self.prefix(length) and self.peek(length) not in "\r\n\0":
            blanks = self.prefix(length)
            self.forward(length)
            return [blanks]
        spaces = super().scan_plain_spaces(indent, start_mark)
        if spaces and self.column >= indent:
            self._skip_blanks()
        return spaces

    def fetch_more_tokens(self) -> Any:
        """Read on; what is raised without a place, as of an escape sequence beyond Unicode, gets one."""
        try:
            return super().fetch_more_tokens()
        except yaml.YAMLError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the text's
            raise ScannerError(None, None, str(error), self.get_mark()) from None

    def _skip_blanks(self) -> None:
        while self.peek() in " \t":
            self.forward()


PARSER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else PurePythonParser


def yaml_events(text: str, parser: Any = PARSER) -> Iterator[Any]:
    """Yield the events of a text; raise YAMLError, or whatever else the parser raises on text that is not YAML."""
    return yaml.parse(text, Loader=parser)
