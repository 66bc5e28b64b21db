"""The watched bucket: what is dropped is trained, or refused with reasons."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from yard import Yard

from trainyard.local.inbox import BUCKET
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")
LIMIT_SECONDS = 300


def _drop(yard: Yard, name: str, *files: Path) -> Path:
    folder = yard.folder / "objects" / BUCKET / "inbox" / "default" / name
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)
    return folder


def _arrived(yard: Yard, pattern: str) -> list[Path]:
    found: list[Path] = []

    def look() -> bool:
        found[:] = (yard.folder / "objects" / BUCKET).glob(pattern)
        return bool(found)

    assert wait_for(look, LIMIT_SECONDS), pattern
    return found


def test_a_drop_is_trained_and_kept_without_its_credentials(yard: Yard) -> None:
    manifest, model = yard.files("fails-with-3", lambda text: text.replace("name: fails-with-3", "name: dropped"))
    folder = _drop(yard, "monday", manifest, model)
    (kept,) = [
        path for path in _arrived(yard, "accepted/default/training-*/*.yml") if "name: dropped" in path.read_text()
    ]
    run = yard.finished(kept.parent.name)
    assert (run["name"], run["outcome"]["exit_code"]) == ("dropped", 3)
    assert yard.secrets.secret_key not in kept.read_text()
    assert (kept.parent / model.name).read_bytes() == model.read_bytes()
    assert wait_for(lambda: not folder.exists() or not list(folder.iterdir()), LIMIT_SECONDS)


def test_a_drop_that_cannot_be_trained_is_refused_with_all_reasons_beside_its_files(yard: Yard) -> None:
    manifest, model = yard.files(
        "fails-with-3", lambda text: text.replace("small", "gigantic").replace("'1.9'", "'0.1'")
    )
    _drop(yard, "broken", manifest, model)
    (reasons,) = _arrived(yard, "refused/default/broken-*/reasons.txt")
    assert {"gigantic", "0.1"} <= set(reasons.read_text().replace(")", " ").split())
    assert (reasons.parent / manifest.name).read_bytes() == manifest.read_bytes()
