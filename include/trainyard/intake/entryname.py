"""The names of a zip's entries: decoded as their packer meant them, and harmless as paths."""

from __future__ import annotations

import re
import zipfile

_UTF8_FLAG = 0x800
_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PART = 255
_LONGEST_NAME = 1024
_RELATIVE = "Pack from inside the folder, so that names are relative."


def entry_name(info: zipfile.ZipInfo) -> str:
    """Return an entry's name as its packer meant it.

    The zip module reads names without the UTF-8 flag as code page 437, yet macOS and older Info-ZIP write UTF-8 and
    leave the flag out; valid UTF-8 beyond ASCII is hardly ever anything else.
    """
    name = info.orig_filename
    if info.flag_bits & _UTF8_FLAG or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def name_parts(name: str) -> list[str]:
    """Split a name into the steps of a relative path; `./a//b` is `a/b`."""
    return [part for part in name.split("/") if part not in ("", ".")]


def check_name(name: str) -> tuple[str, str] | None:
    """Return message and cure if a name may not be unpacked."""
    if "\0" in name or not name_parts(name):
        return "its name is empty or cut.", "Rename it."
    if name.startswith("/") or _DRIVE.match(name):
        return "its path is absolute.", _RELATIVE
    if "\\" in name:
        return "its path has backslashes.", "Pack with a tool that writes /, as zip and Windows' Explorer do."
    if ".." in name_parts(name):
        return "its path leaves the folder with `..`.", _RELATIVE
    if len(name.encode()) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in name_parts(name)):
        return "its name is too long.", f"Keep it below {_LONGEST_PART} bytes, the whole path below {_LONGEST_NAME}."
    return None
