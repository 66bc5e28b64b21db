"""Files on their way to a client."""

from __future__ import annotations

import re
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import Request

# Airflow's api-server packs what does not say this: lines would wait for more of them, and a size would be wrong.
AS_IT_IS = {"Content-Encoding": "identity"}


_FROM = re.compile(r"bytes=(\d{1,18})-")


def asked_from(request: Request) -> int:
    """Return from which byte on `Range: bytes=N-` asks for a file, 0 where nothing of that form is asked."""
    wanted = _FROM.fullmatch(request.headers.get("range", ""))
    return int(wanted[1]) if wanted else 0


def attachment(key: str) -> dict[str, str]:
    """Return the headers of a file that is saved under the last part of its key, and never shown or run."""
    name = quote(key.rpartition("/")[2], safe="")
    disposition = f"attachment; filename*=UTF-8''{name}"
    return {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff", **AS_IT_IS}


class Skipping:
    """Passes on what is written behind the first `count` bytes."""

    def __init__(self, into: BinaryIO, count: int) -> None:
        self._into, self._left = into, count

    def write(self, chunk: Any) -> int:
        fresh = chunk[self._left :]
        self._left = max(self._left - len(chunk), 0)
        if fresh:
            self._into.write(fresh)
        return len(chunk)
