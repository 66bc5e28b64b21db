"""Small files that are read while others write them."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file at once: readers find what was there before or all of the text, never a part of it.

    Two writers at a time are the caller's to keep apart. Readers of the folder pass over names that begin with a dot.
    """
    aside = path.with_name(f".{path.name}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
