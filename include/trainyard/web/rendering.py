"""From values to HTML: Jinja2 with everything escaped, and the few words that templates share."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from trainyard.api.assets import PACKAGES, Assets
from trainyard.api.auth import CALLER
from trainyard.core.accounts import Caller
from trainyard.web.addresses import heads, page_address, pages_for, query
from trainyard.web.visible import visible
from trainyard.web.words import ago, amount, bytes_text, clock_text, duration, hours, number, sentence, spoken_state

_HERE = Path(__file__).resolve().parent
_STATIC = _HERE / "static"
ASSETS = Assets(
    {
        **{file.name: file for file in sorted(_STATIC.iterdir()) if file.suffix in (".js", ".css", ".svg")},
        "fflate.js": PACKAGES / "fflate" / "umd" / "index.js",
        "uplot.js": PACKAGES / "uplot" / "dist" / "uPlot.iife.min.js",
        "uplot.css": PACKAGES / "uplot" / "dist" / "uPlot.min.css",
    }
)


def caller(request: Request) -> Caller:
    """Return who looks at the page; the session has found out."""
    found: Caller = request.scope[CALLER]
    return found


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template as the answer to a request."""
    return HTMLResponse(rendered(request, template, **values), status)


def rendered(request: Request, template: str, **values: Any) -> str:
    """Render a template; each has who looks, where pages are, and where it is itself."""
    root = request.scope.get("root_path", "")
    common = {
        "root": root,
        "me": request.scope.get(CALLER),
        "asset": lambda name: f"{root}/assets/{ASSETS.address(name)}",
        "missing_assets": ASSETS.missing(),
        "now": time.time(),
    }
    return environment().get_template(template).render(**common, **values)


@cache
def environment() -> Environment:
    """Return the one environment; what a template does not know is an error, not an empty text."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        ago=ago,
        amount=amount,
        bytes=bytes_text,
        clock=clock_text,
        duration=duration,
        hours=hours,
        number=number,
        sentence=sentence,
        state=spoken_state,
        segment=lambda text: quote(str(text), safe=""),
        path=lambda text: quote(str(text), safe="/"),
    )
    made.globals.update(query=query, heads=heads, page_address=page_address, pages_for=pages_for)
    return made
