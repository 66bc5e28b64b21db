"""Links of programs: what they lead to inside is found, nothing outside is ever read, and every scan ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Event, Thread

import pytest

from trainyard.stores import links
from trainyard.stores.links import CIRCLE, DEEP, MISSING, OUTSIDE, Ground, open_linked, scan_linked

SECRET = b"secret"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    (root / "result").mkdir(parents=True)
    (root / "state").mkdir()
    (root / "dataset").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/key").write_bytes(SECRET)
    return root


def ground_of(run: Path) -> Ground:
    return Ground(run, ("result", "state"), ("/job",))


def write(run: Path, name: str, content: str = "x") -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def link(run: Path, name: str, target: str) -> None:
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).symlink_to(target)


def read(run: Path, name: str) -> bytes:
    with open_linked(ground_of(run), f"result/{name}") as file:
        return file.read()


@pytest.mark.parametrize(
    "target", ["a/file", "./a/../a//file", "../result/a/file", "../state/file", "/job/result/a/file", "second"]
)
def test_a_link_to_a_file_inside_is_that_file(run: Path, target: str) -> None:
    write(run, "result/a/file")
    write(run, "state/file")
    link(run, "result/second", "a/file")
    link(run, "result/link", target)
    found = scan_linked(ground_of(run), "result")
    assert found.files == {"a/file": 1, "second": 1, "link": 1}
    assert found.others == {}
    assert read(run, "link") == b"x"


@pytest.mark.parametrize(
    "target",
    [
        "../../outside/key",
        "../../outside",
        "../../run/result/file",
        "../dataset",
        "..",
        "/etc/passwd",
        "/job/../etc/passwd",
        "/job/data/file",
        "/proc/self/root",
        "state/../../../outside/key",
    ],
)
def test_a_link_that_leads_out_is_left_out_with_its_reason(run: Path, target: str) -> None:
    write(run, "result/file")
    link(run, "result/state", "../state")
    link(run, "result/link", target)
    found = scan_linked(ground_of(run), "result")
    assert found.files == {"file": 1}
    assert found.others["link"] in (OUTSIDE, CIRCLE)
    with pytest.raises(FileNotFoundError):
        read(run, "link")


def test_a_link_to_a_folder_has_its_files(run: Path) -> None:
    write(run, "result/epoch-1/weights")
    write(run, "result/epoch-1/more/optimizer")
    link(run, "result/epoch-1/copy", "weights")
    link(run, "result/last", "epoch-1")
    found = scan_linked(ground_of(run), "result")
    assert set(found.files) >= {"last/weights", "last/more/optimizer", "last/copy"}
    assert read(run, "last/more/optimizer") == b"x"


def test_links_in_circles_end(run: Path) -> None:
    write(run, "result/a/file")
    write(run, "result/b/file")
    link(run, "result/self", "self")
    link(run, "result/here", ".")
    link(run, "result/a/up", "..")
    link(run, "result/a/b", "../b")
    link(run, "result/b/a", "../a")
    link(run, "result/nothing", "no/such/file")
    link(run, "result/long", "x" * 300)
    found = scan_linked(ground_of(run), "result")
    assert found.others["self"] == CIRCLE
    assert found.others["here"] == CIRCLE
    assert found.others["a/up"] == CIRCLE
    assert found.others["nothing"] == MISSING
    assert found.others["long"] == MISSING
    assert set(found.files) == {"a/file", "b/file", "a/b/file", "b/a/file"}


def test_links_that_multiply_come_to_an_end(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MAX_LINKED", 200)
    write(run, "result/0/file")
    for level in range(1, 40):
        link(run, f"result/{level}/left", f"../{level - 1}")
        link(run, f"result/{level}/right", f"../{level - 1}")
    found = scan_linked(ground_of(run), "result")
    assert len(found.files) <= 200
    assert len(found.others) <= 600
    assert any("too many" in reason for reason in found.others.values())


def test_links_to_one_large_file_do_not_make_any_amount_of_it(run: Path) -> None:
    with (run / "result/large").open("wb") as file:
        file.truncate(2**30)
    for number in range(20):
        link(run, f"result/{number}", "large")
    found = scan_linked(ground_of(run), "result")
    assert len(found.files) == 11
    assert len(found.others) == 10 - 1 + 1


def test_a_way_with_very_many_parts_is_not_gone(run: Path) -> None:
    write(run, "result/file")
    (run / "result/a").mkdir()
    link(run, "result/link", "a/../" * 600 + "file")
    assert scan_linked(ground_of(run), "result").others["link"] == DEEP


def test_what_is_no_file_behind_a_link_is_told(run: Path) -> None:
    os.mkfifo(run / "state/pipe")
    link(run, "result/link", "../state/pipe")
    assert scan_linked(ground_of(run), "result").others == {"link": "is a pipe, no file"}
    with pytest.raises(FileNotFoundError):
        read(run, "link")


def test_a_link_swapped_between_scan_and_opening_reads_nothing_outside(run: Path) -> None:
    write(run, "result/file")
    link(run, "result/link", "file")
    assert scan_linked(ground_of(run), "result").files == {"file": 1, "link": 1}
    (run / "result/link").unlink()
    link(run, "result/link", "../../outside/key")
    with pytest.raises(FileNotFoundError):
        read(run, "link")


def test_whoever_swaps_folders_for_links_all_the_time_has_nothing_outside_read(run: Path) -> None:
    outside, over = run.parent / "outside", Event()
    write(run, "result/a/key")
    link(run, "result/link", "a/key")
    (run / "result/b").symlink_to(outside)

    def swap() -> None:
        while not over.is_set():
            (run / "result/a").rename(run / "result/c")
            (run / "result/b").rename(run / "result/a")
            (run / "result/a").rename(run / "result/b")
            (run / "result/c").rename(run / "result/a")

    thread = Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read(run, "link"))
            except FileNotFoundError:
                seen.add(b"")
            scan = scan_linked(ground_of(run), "result")
            assert all(size == 1 for size in scan.files.values())
    finally:
        over.set()
        thread.join()
    assert SECRET not in seen
    assert b"x" in seen


def test_a_file_swapped_for_a_device_between_looking_and_opening_is_not_read(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run, "result/file")
    link(run, "result/link", "file")
    look = os.stat

    def swap(path: object, **more: object) -> os.stat_result:
        status = look(path, **more)  # type: ignore[arg-type]
        if path == "file" and stat.S_ISREG(status.st_mode):
            (run / "result/file").unlink()
            os.mkfifo(run / "result/file")
        return status

    monkeypatch.setattr(os, "stat", swap)
    with pytest.raises(FileNotFoundError):
        read(run, "link")
