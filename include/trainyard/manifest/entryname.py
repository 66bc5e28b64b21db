"""The names of a zip's entries: decoded as their packer meant them, and harmless as paths."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib

_UTF8_FLAG = 0x800
_FIELD = struct.Struct("<HH")
_UNICODE_PATH = 0x7075
_PATH_HEAD = struct.Struct("<BL")
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_PART = 255
_MAX_NAME = 1024
_RELATIVE = "Pack from inside the folder, so that names are relative."


def entry_name(info: zipfile.ZipInfo) -> str:
    """Return an entry's name as its packer meant it.

    Info-ZIP and 7-Zip put a name that the system's code page cannot hold into a field of its own. The zip module reads
    names without the UTF-8 flag as code page 437, yet macOS and older Info-ZIP write UTF-8 and leave the flag out;
    valid UTF-8 beyond ASCII is hardly ever anything else.
    """
    name = info.orig_filename
    if named := _unicode_path(info):
        return named
    if info.flag_bits & _UTF8_FLAG or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """Return the name in the Unicode path field (0x7075), unless the entry was renamed since it was written."""
    raw = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8_FLAG else "cp437", "replace")
    extra, at = info.extra, 0
    while at + _FIELD.size <= len(extra):
        kind, size = _FIELD.unpack_from(extra, at)
        body = extra[at + _FIELD.size : at + _FIELD.size + size]
        at += _FIELD.size + size
        if kind == _UNICODE_PATH and len(body) > _PATH_HEAD.size and len(body) == size:
            version, checksum = _PATH_HEAD.unpack_from(body)
            if version == 1 and checksum == zlib.crc32(raw):
                return _decoded(body[_PATH_HEAD.size :])
    return None


def _decoded(name: bytes) -> str | None:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return None


def name_parts(name: str) -> list[str]:
    """Split a name into the steps of a relative path; `./a//b` is `a/b`."""
    return [part for part in name.split("/") if part not in ("", ".")]


def check_name(name: str) -> tuple[str, str] | None:
    """Return message and hint if a name may not be unpacked."""
    if "\0" in name or not name_parts(name):
        return "its name is empty or cut.", "Rename it."
    if name.startswith("/") or _DRIVE.match(name):
        return "its path is absolute.", _RELATIVE
    if "\\" in name:
        return "its path has backslashes.", "Pack with a tool that writes /, as zip and Windows' Explorer do."
    if ".." in name_parts(name):
        return "its path leaves the folder with `..`.", _RELATIVE
    if len(name.encode()) > _MAX_NAME or any(len(part.encode()) > _MAX_PART for part in name_parts(name)):
        return "its name is too long.", f"Keep it below {_MAX_PART} bytes, the whole path below {_MAX_NAME}."
    return None
