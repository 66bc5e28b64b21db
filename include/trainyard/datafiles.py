"""Find the data files that ship with the package: the JSON schemas and the default configuration."""

from __future__ import annotations

from pathlib import Path

from trainyard.errors import TrainyardError

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the files inside the package; a checkout has them where people edit them.
_PLACES = {
    "schemas": (_PACKAGE / "_data" / "schemas", _PACKAGE.parents[1] / "schemas"),
    "config": (_PACKAGE / "_data" / "config", _PACKAGE.parent / "config"),
}


def data_file(name: str) -> Path:
    """Return the path of a shipped file such as `schemas/manifest.schema.json` or `config/sizes.yaml`.

    Raise TrainyardError S500 if it is not there.
    """
    folder, _, rest = name.partition("/")
    for place in _PLACES.get(folder, ()):
        if (place / rest).is_file():
            return place / rest
    raise TrainyardError("S500", f"the shipped file {name} is missing", "Install Trainyard again.")
