"""Which files of a folder are no part of the program: `.trainyardignore`, with the rules of `.gitignore`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from trainyard.client.errors import WrongUsageError

IGNORE_FILE = ".trainyardignore"
# Repositories, what tools write beside a program, and what the one-machine stack keeps: no program reads them.
_ALWAYS = (
    ".git",
    ".hg/",
    ".svn/",
    "__pycache__/",
    ".ipynb_checkpoints/",
    ".venv/",
    "/.trainyard/",
    f"/{IGNORE_FILE}",
)


class Ignored:
    """The rules of one folder; what is left out by itself is taken where a rule such as `!.venv/` says so."""

    def __init__(self, folder: Path) -> None:
        self._spec = GitIgnoreSpec.from_lines([*_ALWAYS, *_lines(folder / IGNORE_FILE)])

    @classmethod
    def of_text(cls, text: str) -> Ignored:
        """Read the rules of somebody else's file: matching takes time in proportion to a name, whatever they are.

        Raise WrongUsageError where one is none.
        """
        lines = text.splitlines()
        _check(lines, IGNORE_FILE)
        made = cls.__new__(cls)
        made._spec = GitIgnoreSpec.from_lines([*_ALWAYS, *lines], backend="re2")
        return made

    def leaves_out(self, name: str, is_folder: bool = False) -> bool:
        """Say whether a file or folder is left out; its name is relative to the folder, with `/` in between."""
        return self._spec.match_file(f"{name}/" if is_folder else name)


def _lines(path: Path) -> list[str]:
    """Read the rules; raise WrongUsageError where one is none, or the file cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise WrongUsageError(f"{path} cannot be read: {reason}", "Check the file.") from None
    _check(lines, str(path))
    return lines


def _check(lines: Sequence[str], where: str) -> None:
    for number, line in enumerate(lines, start=1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            hint = "Its rules are those of .gitignore: `data/`, `*.ckpt`, `!keep.ckpt`."
            raise WrongUsageError(f"{where}:{number}: {line[:60]!r} is no rule", hint) from None
