"""/v3/docs: the interface to try out, by Swagger UI from this machine."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from trainyard.api.assets import PACKAGES, Assets

_ASSETS = Assets(
    {
        "swagger-ui.css": PACKAGES / "swagger-ui-dist" / "swagger-ui.css",
        "swagger-ui-bundle.js": PACKAGES / "swagger-ui-dist" / "swagger-ui-bundle.js",
        "docs.js": Path(__file__).with_name("docs.js"),
    }
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trainyard: REST</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="docs" data-document="{document}">{instead}</div>
<script src="{library}" defer></script><script src="{script}" defer></script>
</body>
</html>
"""
_MISSING = (
    "<p>Swagger UI is not installed. Run <code>make setup</code>, or build the image again. "
    'The description itself: <a href="openapi.json">openapi.json</a></p>'
)
_WITHOUT_SCRIPT = (
    '<noscript>This page needs script; the description itself: <a href="openapi.json">openapi.json</a></noscript>'
)

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> str:
    """Return the page; it loads its files from below this very path."""
    root = escape(request.scope.get("root_path", ""), quote=True)
    style, library, script = (
        f"{root}/docs/assets/{_ASSETS.address(name)}" for name in ("swagger-ui.css", "swagger-ui-bundle.js", "docs.js")
    )
    instead = _MISSING if _ASSETS.missing() else _WITHOUT_SCRIPT
    document = f"{root}/openapi.json"
    return _PAGE.format(style=style, library=library, script=script, document=document, instead=instead)


@router.get("/docs/assets/{digest}/{name}")
def asset(digest: str, name: str) -> FileResponse:
    """Return one of the page's files."""
    return _ASSETS.answer(digest, name)
