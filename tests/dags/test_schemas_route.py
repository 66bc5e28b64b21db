"""The JSON Schemas over HTTP: whoever writes a manifest in an editor gets them without signing in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from appasking import created_app
from jsonschema import Draft202012Validator

pytestmark = pytest.mark.xdist_group("airflow")

_PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def get():
    """Ask the app, mounted where the plugin mounts it, without a token."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/v3", created_app())])

    async def once(path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://front.door") as client:
            return await client.get(path)

    return lambda path: asyncio.run(once(path))


@pytest.mark.parametrize("name", ["manifest", "ffdl", "frameworks", "sizes", "quotas"])
def test_a_schema_is_answered_at_the_address_that_it_names_itself(get, name):
    shipped = json.loads((_PROJECT / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    answer = get(shipped["$id"])
    assert answer.status_code == 200
    assert answer.json() == shipped
    assert answer.headers["access-control-allow-origin"] == "*"
    Draft202012Validator.check_schema(answer.json())


def test_the_list_has_an_address_for_each(get):
    listed = get("/v3/schemas").json()
    assert listed["total"] == 7
    for each in listed["resources"]:
        assert get(each["url"]).json()["title"] == each["title"]


@pytest.mark.parametrize("name", ["nothing.schema.json", "..%2Ffrontdoor", "manifest.json"])
def test_another_name_is_answered_with_those_there_are(get, name):
    answer = get(f"/v3/schemas/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "C107"


def test_the_line_for_editors_in_the_documentation_names_a_schema_that_is_answered(get):
    text = (_PROJECT / "docs" / "manifest.md").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("# yaml-language-server: $schema=https://")]
    assert get(line.partition("example.com")[2]).status_code == 200
