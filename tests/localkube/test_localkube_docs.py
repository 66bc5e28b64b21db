"""README.md tells every option of the command, and its numbers and lists are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

import localkube
from localkube import access, records, store, validation
from localkube.__main__ import main
from localkube.objects import GPU_ANNOTATION, KINDS

TEXT = " ".join((Path(localkube.__file__).parent / "README.md").read_text("utf-8").split())


@pytest.mark.parametrize("command", ["serve", "end-pods"])
def test_every_option_is_told(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = {word.strip("[],|") for word in capsys.readouterr().out.split() if word.strip("[").startswith("--")}
    assert {option for option in options - {"--help"} if f"{option} " not in TEXT} == set()


@pytest.mark.parametrize(
    "words",
    [
        f"at most {records.MAX_FILES} files of {records.MAX_FILE_BYTES // 1024**2} MiB",
        f"forgotten ({store.MAX_HISTORY:,} changes",
        f"The annotation `{GPU_ANNOTATION}`",
        f"`{records.MARKER}`",
        *(f"`{path}`" for path in access.OPEN_PATHS),
        *(records.SPEC, records.SHIM, records.STARTED, records.EXITED, records.SHUTDOWN, records.LOG),
        *KINDS,
        *validation.VOLUME_SOURCES,
    ],
)
def test_numbers_and_names_are_those_of_the_code(words):
    assert words in TEXT
