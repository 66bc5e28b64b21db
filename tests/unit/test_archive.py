"""A zip is checked whole before anything is written, and never leaves its folder when it is unpacked."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.archive import ArchiveEntry, ArchiveRules, check_archive, unpack_archive
from trainyard.settings import read_settings

RULES = ArchiveRules()
MIB = 1024**2


def pack(
    path: Path, *entries: tuple[str, bytes] | tuple[zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content, method)
    return path


def entry(name: str, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = system
    info.external_attr = mode << 16
    return info


def problems(path: Path, rules: ArchiveRules = RULES) -> tuple[Problem, ...]:
    with pytest.raises(TrainyardError) as caught:
        check_archive(path, rules)
    assert caught.value.code.code == "C102"
    assert all(problem.hint for problem in caught.value.problems)
    return caught.value.problems


def message(path: Path, rules: ArchiveRules = RULES) -> str:
    (problem,) = problems(path, rules)
    return problem.message


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    return tmp_path / "model.zip"


@pytest.mark.parametrize(("count", "entries_told"), [(101, None), (101, 1), (70_000, None), (70_000, 1)])
def test_too_many_entries_are_counted_before_the_zip_module_reads_them(zip_path, monkeypatch, count, entries_told):
    with zipfile.ZipFile(zip_path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", b"")
    if entries_told:  # an end that says less than there is
        data = bytearray(zip_path.read_bytes())
        struct.pack_into("<HH", data, len(data) - 14, entries_told, entries_told)
        zip_path.write_bytes(data)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    rules = ArchiveRules(max_entries=count - 1)
    assert "more than" in message(zip_path, rules)


def test_a_good_zip_lists_its_files(zip_path):
    pack(zip_path, ("train.py", b"x" * 7), (entry("bin/", 0o40755), b""), (entry("bin/run.sh", 0o100755), b"#!"))
    assert check_archive(zip_path, RULES) == (
        ArchiveEntry("train.py", 7, executable=False),
        ArchiveEntry("bin/run.sh", 2, executable=True),
    )


def test_unpacking_keeps_folders_programs_and_names_of_any_script(zip_path, tmp_path):
    pack(
        zip_path,
        (entry("./run.sh", 0o100775), b"#!/bin/sh\n"),
        (entry("data/größe/東京.txt", 0o100600), b"x"),
        (entry("empty/", 0o40755), b""),
        (entry("old.py", 0, system=0), b"y"),
    )
    target = tmp_path / "deep" / "model"
    unpack_archive(zip_path, target, RULES)
    found = {path.relative_to(target).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
    assert found["run.sh"] == 0o755
    assert found["data/größe/東京.txt"] == found["old.py"] == 0o644
    assert (target / "empty").is_dir()
    assert (target / "data/größe/東京.txt").read_bytes() == b"x"


def test_unpacking_twice_gives_the_same(zip_path, tmp_path):
    pack(zip_path, (entry("run.sh", 0o100755), b"#!"))
    for _ in range(2):
        unpack_archive(zip_path, tmp_path / "model", RULES)
    assert (tmp_path / "model" / "run.sh").read_bytes() == b"#!"


def test_setuid_bits_are_dropped(zip_path, tmp_path):
    pack(zip_path, (entry("run", 0o104755), b"x"))
    unpack_archive(zip_path, tmp_path / "m", RULES)
    assert stat.S_IMODE((tmp_path / "m" / "run").stat().st_mode) == 0o755


def test_utf8_names_without_the_flag_are_understood(zip_path):
    pack(zip_path, ("größe.py", b"x"))
    data = zip_path.read_bytes()
    flagged = struct.pack("<H", 0x800)
    assert data.count(flagged) >= 2
    zip_path.write_bytes(data.replace(flagged, b"\0\0"))
    assert check_archive(zip_path, RULES)[0].name == "größe.py"


def with_unicode_path(name: bytes, path: bytes, *, of: bytes | None = None) -> zipfile.ZipInfo:
    """Make an entry with a name of an old code page, and Info-ZIP's field with its path for the name `of`."""
    info = entry(name.decode("cp437"))
    body = struct.pack("<BL", 1, zlib.crc32(name if of is None else of)) + path
    info.extra = struct.pack("<HH", 0x5455, 1) + b"x" + struct.pack("<HH", 0x7075, len(body)) + body
    return info


def without_flags(path: Path) -> Path:
    """Say that the names are of the system's code page, as old packers do."""
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place : at + place + 2] = b"\0\0"
            at = data.find(signature, at + 4)
    path.write_bytes(bytes(data))
    return path


def test_a_name_in_the_unicode_path_field_is_the_entrys_name(tmp_path):
    # As 7-Zip on a Japanese Windows packs it: a name in Shift-JIS, and its UTF-8 in the field.
    text = (
        "UEsDBBQAAAAAAAAAIVikMMMhOwAAADsAAAAIAAAAdHJhaW4ucHlpbXBvcnQgb3MKcHJpbnQoc29ydGVkKGFzY2lpKG4pIGZvciBuIGluIG9zLmxp"
        "c3RkaXIoIi4iKSkpClBLAwQUAAAAAAAAACFYt+/cgwEAAAABAAAACgAWAINmgVuDXi5jc3Z1cBIAAcdejdfjg4fjg7zjgr8uY3N2MVBLAQIUABQA"
        "AAAAAAAAIVikMMMhOwAAADsAAAAIAAAAAAAAAAAAIAAAAAAAAAB0cmFpbi5weVBLAQIUABQAAAAAAAAAIVi379yDAQAAAAEAAAAKABYAAAAAAAAA"
        "IAAAAGEAAACDZoFbg14uY3N2dXASAAHHXo3X44OH44O844K/LmNzdlBLBQYAAAAAAgACAIQAAACgAAAAAAA="
    )
    path = tmp_path / "japanese.zip"
    path.write_bytes(base64.b64decode(text))
    assert [each.name for each in check_archive(path, RULES)] == ["train.py", "データ.csv"]
    unpack_archive(path, tmp_path / "unpacked", RULES)
    assert (tmp_path / "unpacked" / "データ.csv").read_bytes() == b"1"


def ascii_with_path(path: Path, unicode_path: bytes, of: bytes | None = None) -> Path:
    return without_flags(pack(path, (with_unicode_path(b"plain.csv", unicode_path, of=of), b"1,2")))


def test_a_unicode_path_of_another_name_is_passed_over(zip_path):
    ascii_with_path(zip_path, "größe.csv".encode(), of=b"renamed.csv")
    assert check_archive(zip_path, RULES)[0].name == "plain.csv"


def test_a_unicode_path_that_is_none_is_passed_over(zip_path):
    assert check_archive(ascii_with_path(zip_path, b"\xff\xfe"), RULES)[0].name == "plain.csv"


@pytest.mark.parametrize("name", ["../away.csv", "/etc/passwd", "a\\b", "x\0y"])
def test_a_unicode_path_cannot_leave_the_folder_either(zip_path, tmp_path, name):
    ascii_with_path(zip_path, name.encode())
    assert problems(zip_path)
    with pytest.raises(TrainyardError):
        unpack_archive(zip_path, tmp_path / "unpacked", RULES)
    assert not list(tmp_path.glob("*.csv"))


def test_two_entries_that_their_unicode_paths_make_one_are_refused(zip_path):
    without_flags(pack(zip_path, (with_unicode_path(b"a", b"same"), b"1"), (with_unicode_path(b"b", b"same"), b"2")))
    assert message(zip_path) == "it is in the zip twice."


@pytest.mark.parametrize(
    ("content", "windows"),
    [
        (b"#!/bin/bash\r\necho\r\n", True),
        (b"#!/bin/bash\necho\r\n", False),
        (b"echo\r\n", False),
        (b"#!/usr/bin/env python3\r", True),
    ],
)
def test_a_script_with_windows_line_ends_is_noticed(zip_path, content, windows):
    assert check_archive(pack(zip_path, ("run.sh", content)), RULES)[0].windows_script == windows


def test_of_many_scripts_no_more_text_is_kept_than_a_mebibyte(zip_path):
    found = check_archive(pack(zip_path, *((f"{number}.sh", b"#" * 20_000) for number in range(100))), RULES)
    assert MIB - 20_000 < sum(len(each.script) for each in found) <= MIB


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("run.sh", b"cd x\n", True),
        ("run", b"#!/usr/bin/env bash\ncd x\n", True),
        ("run", b"#!/bin/sh -e\ncd x\n", True),
        ("run.py", b"#!/usr/bin/python3\n", False),
        ("fish", b"text\n", False),
        ("run.sh", b"#" * 30_000, False),
    ],
)
def test_the_text_of_a_short_shell_script_is_kept(zip_path, name, content, kept):
    (found,) = check_archive(pack(zip_path, (name, content)), RULES)
    assert found.script == (content.decode() if kept else "")


def tar_bytes(**kwargs: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **kwargs) as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return buffer.getvalue()


def v7_tar() -> bytes:
    header = bytearray(tar_bytes()[:512])
    header[257:265] = b"\0" * 8
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + b"\0" * 1024


ARCHIVES = {
    "tar.gz": (gzip.compress(tar_bytes(), mtime=0), "a gzip archive"),
    "bz2": (bz2.compress(b"x"), "a bzip2 archive"),
    "xz": (lzma.compress(b"x"), "a xz archive"),
    "tar": (tar_bytes(), "a tar archive"),
    "old tar": (v7_tar(), "a tar archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
    "rar5": (b"Rar!\x1a\x07\x01\0", "a rar archive"),
    "rar4": (b"Rar!\x1a\x07\0", "a rar archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\0", "a zstd archive"),
    "text": (b"print('hello')\n", "this is not a zip"),
    "empty": (b"", "this is not a zip"),
    "zeros": (b"\0" * 600, "this is not a zip"),
    "one letter": (b"P", "this is not a zip"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_another_archive_is_named_by_its_content(zip_path, name):
    content, kind = ARCHIVES[name]
    zip_path.write_bytes(content)
    assert kind in message(zip_path)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/..", "..", "a/b/../c"])
def test_a_path_that_leaves_the_folder_is_refused(zip_path, name):
    found = problems(pack(zip_path, (name, b"x"), ("good.py", b"")))
    assert found[0].path == name
    assert "leaves the folder" in found[0].message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("c:x", "absolute"),
        ("a\\b", "backslashes"),
        ("..\\x", "backslashes"),
        ("x" * 256, "too long"),
        ("/".join(["x" * 200] * 6), "too long"),
        ("./", "empty"),
    ],
)
def test_a_name_that_is_no_relative_path_is_refused(zip_path, name, words):
    assert words in problems(pack(zip_path, (name, b""), ("good.py", b"")))[0].message


@pytest.mark.parametrize(
    ("kind", "words"),
    [(stat.S_IFLNK, "symbolic link"), (stat.S_IFCHR, "device"), (stat.S_IFIFO, "pipe"), (stat.S_IFSOCK, "socket")],
)
def test_links_and_devices_are_refused(zip_path, tmp_path, kind, words):
    pack(zip_path, (entry("x", kind | 0o777), b"/etc/passwd"))
    assert words in message(zip_path)
    with pytest.raises(TrainyardError):
        unpack_archive(zip_path, tmp_path / "model", RULES)
    assert not (tmp_path / "model").exists()


def change_flag(path: Path, bits: int) -> None:
    """Set bits of the general purpose flag of every entry, in the local header and in the directory."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= bits
            at = data.find(signature, at + 1)
    path.write_bytes(bytes(data))


def test_an_encrypted_zip_is_refused(zip_path):
    change_flag(pack(zip_path, ("a", b"x"), ("b", b"y")), 0x1)
    assert [problem.message for problem in problems(zip_path)] == ["it is encrypted."] * 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_method_is_refused(zip_path, method):
    # A zip's LZMA stream may ask for a dictionary of gigabytes.
    assert "unusual method" in message(pack(zip_path, ("a", b"x"), method=method))


def test_stored_files_are_read(zip_path):
    assert check_archive(pack(zip_path, ("a", b"x" * 10), method=zipfile.ZIP_STORED), RULES)[0].size == 10


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("d/a", "d//a")])
def test_a_name_that_comes_twice_is_refused(zip_path, names):
    assert message(pack(zip_path, *((name, b"x") for name in names))) == "it is in the zip twice."


def test_a_file_that_is_also_a_folder_is_refused(zip_path):
    assert "a file and a folder" in message(pack(zip_path, ("a", b"x"), ("a/b", b"y")))


@pytest.mark.parametrize("entries", [[], [("folder/", b"")]])
def test_a_zip_without_files_is_refused(zip_path, entries):
    assert message(pack(zip_path, *entries)) == "the zip has no files."


def test_every_problem_is_told_at_once(zip_path):
    pack(zip_path, ("../a", b"x"), ("/b", b"x"), (entry("c", stat.S_IFLNK), b"x"), ("c/d", b"y"))
    assert [problem.path for problem in problems(zip_path)] == ["../a", "/b", "c", "c"]


def test_the_limits_are_those_of_the_settings():
    settings_read = read_settings({"TRAINYARD_ZIP_MAX_BYTES": "1MiB", "TRAINYARD_ZIP_MAX_RATIO": "7.5"})
    assert ArchiveRules.of(settings_read) == ArchiveRules(MIB, 1024**3, 10_000, 7.5)
    assert ArchiveRules.of(read_settings({})) == ArchiveRules()


def test_too_many_entries_are_refused(zip_path):
    pack(zip_path, *((f"f{n}", b"") for n in range(11)))
    assert check_archive(zip_path, ArchiveRules(max_entries=11))
    assert "more than 10 entries" in message(zip_path, ArchiveRules(max_entries=10))


def test_a_count_of_entries_that_lies_is_seen_through(zip_path):
    data = bytearray(pack(zip_path, *((f"f{n}", b"") for n in range(11))).read_bytes())
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 12] = struct.pack("<HH", 1, 1)
    zip_path.write_bytes(bytes(data))
    assert "more than 10 entries" in message(zip_path, ArchiveRules(max_entries=10))


def test_a_directory_too_large_for_its_entries_is_refused_unread(zip_path):
    info = zipfile.ZipInfo("a")
    info.comment = b"x" * 5000
    pack(zip_path, (info, b""))
    assert "more than 3 entries" in message(zip_path, ArchiveRules(max_entries=3))


def test_a_zip_beyond_its_size_is_refused(zip_path):
    pack(zip_path, ("a", bytes(range(256)) * 10))
    assert "bytes; 100 are allowed" in message(zip_path, ArchiveRules(max_bytes=100))


def test_too_much_content_is_refused_by_what_is_declared(zip_path):
    pack(zip_path, ("a", b"x" * 600), ("b", b"y" * 600))
    assert "more than 1000 bytes" in message(zip_path, ArchiveRules(max_unpacked=1000))


def test_a_bomb_is_refused_whether_checked_or_unpacked(zip_path, tmp_path):
    pack(zip_path, ("a", bytes(20 * MIB)))
    assert "100 times as large" in message(zip_path)
    with pytest.raises(TrainyardError):
        unpack_archive(zip_path, tmp_path / "m", RULES)
    assert sum(path.stat().st_size for path in (tmp_path / "m").iterdir()) <= 16 * MIB


def test_a_small_file_that_packs_well_is_no_bomb(zip_path):
    pack(zip_path, ("labels.txt", b"0\n" * 2 * MIB))
    assert check_archive(zip_path, RULES)[0].size == 4 * MIB


def lie_about_size(path: Path, declared: int) -> None:
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(signature)
        data[at + offset : at + offset + 4] = struct.pack("<L", declared)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("declared", [1, 10, 5 * MIB])
def test_a_size_that_lies_is_damage(zip_path, tmp_path, declared):
    lie_about_size(pack(zip_path, ("a", bytes(2 * MIB))), declared)
    assert message(zip_path) == "it is damaged or cut off."
    with pytest.raises(TrainyardError):
        unpack_archive(zip_path, tmp_path / "m", RULES)


def test_a_changed_byte_is_found_by_its_crc(zip_path, tmp_path):
    data = bytearray(pack(zip_path, ("a.py", b"print(1)"), method=zipfile.ZIP_STORED).read_bytes())
    data[data.find(b"print")] ^= 1
    zip_path.write_bytes(bytes(data))
    (problem,) = problems(zip_path)
    assert (problem.path, problem.message) == ("a.py", "it is damaged or cut off.")
    with pytest.raises(TrainyardError) as caught:
        unpack_archive(zip_path, tmp_path / "m", RULES)
    assert caught.value.code.code == "C102"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_refused(zip_path, part):
    data = pack(zip_path, *((f"f{n}", bytes(range(256)) * 20) for n in range(20))).read_bytes()
    zip_path.write_bytes(data[: int(len(data) * part)])
    assert "truncated" in message(zip_path)


def test_a_zip64_is_read(zip_path):
    with zipfile.ZipFile(zip_path, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"x")
    assert check_archive(zip_path, RULES)[0].size == 1


def test_the_directory_of_a_large_zip_is_measured_by_its_own_record(zip_path):
    size, count = 2**40, 10**9
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    zip_path.write_bytes(record + locator + end)
    assert "more than 10000 entries" in message(zip_path)


def test_a_link_in_the_target_is_not_followed(zip_path, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    target = tmp_path / "model"
    target.mkdir()
    (target / "a").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic"):
        unpack_archive(pack(zip_path, ("a", b"x")), target, RULES)
    assert outside.read_text() == "precious"


def test_a_name_with_line_ends_is_told_on_one_line(zip_path):
    (problem,) = problems(pack(zip_path, ("../a\nb", b"x")))
    assert "\n" not in str(problem)


GOOD = io.BytesIO()
with zipfile.ZipFile(GOOD, "w", zipfile.ZIP_DEFLATED) as good:
    good.writestr("train.py", "print('x')\n" * 30)
    good.writestr(entry("bin/run.sh", 0o100755), "#!/bin/sh\n")
    good.writestr("größe/a.txt", "x" * 300)

edits = st.lists(st.tuples(st.integers(0, len(GOOD.getvalue()) - 1), st.binary(min_size=1, max_size=4)), max_size=4)


def survives(tmp_path: Path, data: bytes) -> None:
    path, target = tmp_path / "fuzz.zip", tmp_path / "fuzz"
    path.write_bytes(data)
    calls: tuple[Callable[[], object], ...] = (
        lambda: check_archive(path, RULES),
        lambda: unpack_archive(path, target, RULES),
    )
    for call in calls:
        with contextlib.suppress(TrainyardError):
            call()
    assert {each.name for each in tmp_path.iterdir()} <= {"fuzz.zip", "fuzz"}
    shutil.rmtree(target, ignore_errors=True)


SLOW_FIXTURE = [HealthCheck.function_scoped_fixture]


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(edits=edits, cut=st.integers(0, 40))
def test_any_damage_of_a_zip_is_survived_inside_the_folder(tmp_path, edits, cut):
    data = bytearray(GOOD.getvalue())
    for at, new in edits:
        data[at : at + len(new)] = new
    survives(tmp_path, bytes(data[: len(data) - cut]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=20)), max_size=5, unique_by=lambda pair: pair[0]))
def test_any_names_are_survived_inside_the_folder(tmp_path, entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), content)
    survives(tmp_path, buffer.getvalue())
