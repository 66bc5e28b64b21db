"""Debian's Chromium under Playwright, signed in as somebody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def signed_in(playwright: Any, folder: Path, url: str, token: str, **options: Any) -> Any:
    """Start a browser that keeps what it has in a folder of its own; return its context, which whoever asks closes."""
    context = playwright.chromium.launch_persistent_context(
        folder, executable_path=shutil.which("chromium"), args=_FLAGS, **options
    )
    context.add_cookies([{"name": "_token", "value": token, "url": url, "httpOnly": True, "sameSite": "Lax"}])
    return context
