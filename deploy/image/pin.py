"""Write the digest of each image behind its tag: `pin.py FILE...`. Needs Python, and Docker with buildx.

A tag can be moved to another image at any time, a digest cannot. Digests are asked of the registry and never guessed,
so the files as shipped have tags alone. `pin.py --check FILE...` looks nothing up; it lists what has no digest and ends
with 1. Images of our own (`trainyard...`) are built, not fetched, and left alone.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

_NAME = r"(?P<image>[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9._-]*)"
# `FROM x` of a Dockerfile, `image: x` of YAML, `SOME_IMAGE=x` of .env; a digest that is there keeps the line as it is.
_PLACE = re.compile(rf"(?P<before>^FROM |\bimage: \"?|^\w+_IMAGE=){_NAME}(?![A-Za-z0-9._/:@-])", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Lookup = Callable[[str], str]


def unpinned(text: str) -> Iterator[str]:
    """Yield the images of a file that are fetched and have no digest."""
    for found in _PLACE.finditer(text):
        if not found["image"].startswith("trainyard"):
            yield found["image"]


def pinned(text: str, digest_of: Lookup) -> str:
    """Return the file's text with a digest behind each tag."""

    def with_digest(found: re.Match[str]) -> str:
        digest = "" if found["image"].startswith("trainyard") else digest_of(found["image"])
        return f"{found[0]}@{digest}" if digest else found[0]

    return _PLACE.sub(with_digest, text)


@cache
def digest_of(image: str) -> str:
    """Ask the image's registry for the digest of its tag, empty where it does not report; say so on stderr."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", image]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        digest = str(json.loads(done.stdout)["digest"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        print(f"{image}: not found ({type(error).__name__}); its tag stays", file=sys.stderr)
        return ""
    return digest if _DIGEST.fullmatch(digest) else ""


def main(words: list[str]) -> int:
    check, files = words[:1] == ["--check"], [Path(word) for word in words if word != "--check"]
    for file in files:
        text = file.read_text("utf-8")
        if not check and (changed := pinned(text, digest_of)) != text:
            file.write_text(changed, "utf-8")
    left = {(str(file), image) for file in files for image in unpinned(file.read_text("utf-8"))}
    for file, image in sorted(left):
        print(f"{file}: {image} has no digest")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
