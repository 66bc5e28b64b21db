"""What programs and people write, made harmless to look at: nothing that hides or reorders is left in a text."""

from __future__ import annotations

from markupsafe import Markup

from trainyard.domain.characters import NOT_SHOWN
from trainyard.domain.shown import with_signs


def visible(value: object) -> object:
    """Return a value for a page: hidden characters of a text are replaced by signs that say what they are."""
    if isinstance(value, str) and not isinstance(value, Markup) and NOT_SHOWN.search(value):
        return with_signs(value)
    return "" if value is None else value
