"""Changing and repeating: data put into a store, a run again under another name, what differs between the two."""

from __future__ import annotations

from pathlib import Path

import pytest
from yard import Yard

from trainyard.local.ownstores import keep_local_stores

pytestmark = pytest.mark.xdist_group("other stack")

_PROGRAM = """
import os, pathlib
rate = os.environ.get("rate", "none")
pathlib.Path(os.environ["RESULT_DIR"], "rate.txt").write_text(rate)
print("rate", rate)
"""


class TestData:
    @pytest.fixture(autouse=True)
    def local(self, yard: Yard) -> None:
        keep_local_stores(yard.folder, yard.endpoint)  # as `trainyard up` does

    @pytest.fixture
    def digits(self, tmp_path: Path) -> Path:
        folder = tmp_path / "digits"
        (folder / "train").mkdir(parents=True)
        (folder / "train" / "ä b.csv").write_text("1,2\n")
        (folder / "test.csv").write_text("3,4\n")
        (folder / "again.csv").symlink_to("test.csv")
        return folder

    def test_a_folder_is_put_listed_and_removed_and_sent_once(self, yard: Yard, digits: Path) -> None:
        place = "data-vision/changing/digits"
        put = [yard.data("data", "put", str(digits), place, "--account", "vision") for _ in range(2)]
        assert [(each["files"], each["sent_files"]) for each in put] == [(3, 3), (3, 0)]
        stored = yard.folder / "objects" / "data-vision" / "changing" / "digits"
        assert (stored / "train" / "ä b.csv").read_text() == "1,2\n"
        (digits / "test.csv").write_text("3,5\n")
        assert yard.data("data", "put", str(digits), place, "--account", "vision")["sent_files"] == 2
        neighbour = stored.with_name("digits-2")
        neighbour.mkdir()
        (neighbour / "kept.csv").write_text("5,6\n")
        listed = yard.trainyard("data", "ls", place, "--account", "vision").stdout
        assert [line.split(maxsplit=2)[-1] for line in listed.splitlines() if ".csv" in line] == [
            "changing/digits/again.csv",
            "changing/digits/test.csv",
            "changing/digits/train/ä b.csv",
        ]
        refused = yard.trainyard("data", "rm", place, "--account", "vision", fails=True)
        assert "--yes" in refused.stderr
        assert (stored / "test.csv").exists()
        yard.trainyard("data", "rm", place, "--account", "vision", "--yes")
        assert not list(stored.rglob("*.csv"))
        assert (neighbour / "kept.csv").read_text() == "5,6\n"

    def test_a_store_that_is_not_kept_for_somebody_is_not_theirs_to_read(self, yard: Yard) -> None:
        refused = yard.data("data", "ls", "nowhere/data-vision/x", fails=True)
        assert refused["error"]["fault"] == "client"
        objects, key = "/v3/stores/local/objects/data-vision?account=vision", "/v3/stores/local/objects/data-vision/x"
        assert yard.ask("ada", "GET", objects).status_code == 200
        (yard.folder / "objects" / "data-vision" / "x").write_text("theirs")
        asked = [
            yard.ask("grace", "GET", objects),
            yard.ask("grace", "PUT", f"{key}?account=vision", content=b"mine"),
            yard.ask("grace", "DELETE", f"{key}?account=vision"),
            # Her own account's key opens the same store, but no bucket of somebody else's.
            yard.ask("grace", "PUT", f"{key}?account=speech", content=b"mine"),
        ]
        assert [answer.status_code // 100 for answer in asked] == [4] * 4, [answer.text for answer in asked]
        assert (yard.folder / "objects" / "data-vision" / "x").read_text() == "theirs"


def test_a_run_is_repeated_under_another_name_and_diff_shows_what_is_different(yard: Yard) -> None:
    first = yard.submit("fails-with-3", program=_PROGRAM)
    assert yard.finished(first)["state"] == "completed"
    command = "echo changed; exit 0"
    again = yard.data("rerun", first, "--name", "repeated-and-renamed", "--command", command)["model_id"]
    run = yard.finished(again)
    assert (run["name"], run["parent"], run["state"]) == ("repeated-and-renamed", first, "completed")
    assert "changed" in yard.trainyard("logs", again).stdout
    named = yard.data("show", "repeated-and-renamed")
    assert named["model_id"] == again
    different = yard.trainyard("diff", first, again).stdout
    assert command in different
    assert yard.stored(first, "rate.txt") == "none"
