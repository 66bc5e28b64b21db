"""The pictures of the docs are drawn from the text beside them."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_LABEL = re.compile(r'label="([^"]*)"')


@pytest.mark.parametrize("source", sorted(PICTURES.glob("*.dot")), ids=lambda path: path.stem)
def test_a_picture_shows_every_label_of_its_source_and_no_other(source: Path) -> None:
    labels = {
        line.strip() for label in _LABEL.findall(source.read_text("utf-8")) for line in label.split(r"\n") if line.strip()
    }
    drawn = source.with_suffix(".svg").read_text("utf-8")
    shown = {html.unescape(text).replace("\xa0", " ").strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)}
    assert labels <= shown, "run `make pictures`"
    plain_nodes = set(re.findall(r"^\s*(\w+) \[", source.read_text("utf-8"), re.M)) - {"graph", "node", "edge"}
    assert shown <= labels | plain_nodes, "run `make pictures`"
