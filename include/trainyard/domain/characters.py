"""Characters that hide, reorder or steer the text they are in: what pages, tables and logs never show as they are.

A manifest may not have these either, nor others that nobody sees or that are taken for blanks: see
`manifest/characters.py`. What names in messages and in logs of steps are held to, `str.isprintable`, is stricter still.
"""

from __future__ import annotations

import re

# For between brackets of a pattern: control characters but tab, line feed and carriage return, which texts are made
# of; marks of direction, blanks of no width, and what has no meaning at all. What scripts and emoji are written with
# (joiners, variation selectors, the blanks of French and Japanese) is not among them.
HIDING = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f"
)
# A carriage return lets what follows cover its line.
NOT_SHOWN = re.compile(f"[\r{HIDING}]")
