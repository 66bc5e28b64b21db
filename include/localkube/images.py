"""Image references: whether one could be pulled on a real cluster. Here every image is this machine's own programs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import NamedTuple

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d+)?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@sha256:[0-9a-f]{{64}})?", re.ASCII
)
MISSING_TAG = "missing"


class ImageProblem(NamedTuple):
    """Why a container waits for its image: the first reason and the one after backing off."""

    reason: str
    later_reason: str
    message: str
    later_message: str


def problem_of(image: str, policy: str, missing: Iterable[str]) -> ImageProblem | None:
    """Return what keeps an image from arriving, or None. `missing` are patterns of images that do not exist."""
    match = _REFERENCE.fullmatch(image)
    if not match:
        message = (
            f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference'
        )
        return ImageProblem("InvalidImageName", "InvalidImageName", message, message)
    if match["tag"] != MISSING_TAG and not any(fnmatch.fnmatchcase(image, pattern) for pattern in missing):
        return None
    if policy == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        return ImageProblem("ErrImageNeverPull", "ErrImageNeverPull", message, message)
    message = f'failed to pull and unpack image "{image}": not found'
    return ImageProblem("ErrImagePull", "ImagePullBackOff", message, f'Back-off pulling image "{image}": {message}')
