"""The files of a form, as they come."""

from __future__ import annotations

from pathlib import Path

from fastapi import UploadFile

from trainyard.errors import TrainyardError

_CHUNK = 1024 * 1024


def receive(upload: UploadFile, target: Path, limit: int) -> None:
    """Write a zip to a file; raise TrainyardError C109 for one of more than `limit` bytes."""
    received = 0
    with target.open("wb") as file:
        while chunk := upload.file.read(_CHUNK):
            received += len(chunk)
            if received > limit:
                hint = "Leave data out of the zip: it belongs in the training bucket."
                raise TrainyardError("C109", f"the zip is larger than {limit} bytes", hint)
            file.write(chunk)
