"""The Python of trainings on one machine, when it cannot be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trainyard.errors import TrainyardError
from trainyard.local.training import prefix


def test_a_folder_that_cannot_be_made_is_named_with_the_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainyardError, match=r"could not be installed: .*file") as refused:
        prefix.ensure(tmp_path / "file" / "training")
    assert "make setup" in refused.value.hint


def test_the_installers_last_words_are_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    monkeypatch.setattr(prefix, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(TrainyardError, match="no-such-package-of-ours"):
        prefix.ensure(tmp_path / "training")
    assert not (tmp_path / "training").exists()


def test_it_stands_below_the_environment_of_the_service() -> None:
    assert prefix.usual_prefix().parent == Path(sys.prefix)
