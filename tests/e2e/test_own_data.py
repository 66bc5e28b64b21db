"""Data of one's own: put into the store that is kept, listed and removed, all through the service."""

from __future__ import annotations

from pathlib import Path

from yard import Yard

PLACE = "local/data-vision/own"


def test_data_is_put_once_listed_and_removed(yard: Yard, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name, text in (("one.txt", "first"), ("below/zwei ü.txt", "second")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = (PLACE, "--account", "vision")
    assert yard.data("data", "put", str(folder), *words)["sent_files"] == 2
    again = yard.data("data", "put", str(folder), *words)
    assert (again["files"], again["sent_files"], again["sent_bytes"]) == (2, 0, 0)
    listed = yard.data("data", "ls", *words)["resources"]
    assert {each["key"]: each["size"] for each in listed} == {"own/one.txt": 5, "own/below/zwei ü.txt": 6}
    assert len(yard.data("data", "rm", "--yes", *words)["removed"]) == 2
    assert yard.data("data", "ls", *words)["resources"] == []
    assert yard.data("data", "put", str(folder / "one.txt"), *words)["sent_files"] == 1


def test_the_stores_of_another_account_are_not_there(yard: Yard) -> None:
    for verb, end in (("GET", ""), ("PUT", "/own/x"), ("DELETE", "/own/one.txt")):
        refused = yard.ask("grace", verb, f"/v3/stores/local/objects/data-vision{end}?account=vision")
        assert refused.status_code in (403, 404), (verb, refused.text)
