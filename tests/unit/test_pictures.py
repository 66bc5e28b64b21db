"""The pictures of the docs are drawn from the text beside them."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_LABEL = re.compile(r'label="([^"]*)"')
_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


@pytest.mark.parametrize("source", sorted(PICTURES.glob("*.dot")), ids=lambda path: path.stem)
def test_a_picture_shows_every_label_of_its_source_and_no_other(source: Path) -> None:
    text, drawn = source.read_text("utf-8"), source.with_suffix(".svg").read_text("utf-8")
    labels = {line.strip() for label in _LABEL.findall(text) for line in label.split(r"\n")} - {""}
    shown = {html.unescape(words).replace("\xa0", " ").strip() for words in _TEXT.findall(drawn)}
    named = set(re.findall(r"^\s*(\w+) \[", text, re.M))
    assert labels <= shown <= labels | named, "run `make pictures`"
