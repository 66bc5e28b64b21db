"""The published schemas are valid, and every rule of theirs has a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from manifest_samples import FFDL, MANIFEST

from trainyard.manifest.document import read_document
from trainyard.manifest.schema import schema_data
from trainyard.settings import data_file

NAMES = ["manifest", "ffdl", "training-definition", "experiment", "frameworks", "sizes", "quotas"]
SUBMITTED = NAMES[:4]
# For these the code has sentences of its own; all others need one in the schema.
TOLD_IN_GENERAL = {"type", "required", "additionalProperties", "enum", "const", "oneOf", "anyOf"}
RULES = {"minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "minLength", "maxLength", "pattern", "not"}


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for key, inner in schema.items():
            if key not in ("x-refusal", "x-values", "enum", "required"):
                yield from subschemas(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from subschemas(inner)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid(name):
    Draft202012Validator.check_schema(schema_data(name))


@pytest.mark.parametrize("name", ["frameworks", "sizes", "quotas"])
def test_a_shipped_file_follows_its_schema(name):
    data = read_document(data_file(f"config/{name}.yaml").read_bytes(), 2**20).data
    assert list(Draft202012Validator(schema_data(name)).iter_errors(data)) == []


@pytest.mark.parametrize(("name", "text"), [("manifest", MANIFEST), ("ffdl", FFDL)])
def test_a_good_manifest_follows_its_schema(name, text):
    data = read_document(text.encode(), 2**20).data
    assert list(Draft202012Validator(schema_data(name)).iter_errors(data)) == []


@pytest.mark.parametrize("name", SUBMITTED)
def test_every_rule_that_a_submitter_can_break_has_its_sentence(name):
    for schema in subschemas(schema_data(name)):
        rules = RULES & schema.keys()
        # A property of one of these names is a schema, not a rule.
        reported = schema.get("x-refusal", {})
        for rule in rules:
            if not isinstance(schema[rule], dict) or rule == "not":
                assert reported.get(rule, {}).get("message"), (rule, schema)
                assert reported[rule].get("hint")


@pytest.mark.parametrize("name", SUBMITTED)
def test_every_sentence_belongs_to_a_rule(name):
    for schema in subschemas(schema_data(name)):
        assert set(schema.get("x-refusal", {})) <= schema.keys()
        for value in schema.get("x-values", {}):
            assert value not in schema["enum"]
        assert not schema.get("x-keys", {}).keys() & schema.get("properties", {}).keys()


@pytest.mark.parametrize("name", NAMES)
def test_maps_with_known_keys_take_no_others(name):
    for schema in subschemas(schema_data(name)):
        if schema.get("type") == "object" and "properties" in schema:
            assert schema.get("additionalProperties") is False, json.dumps(schema)[:80]


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_in_the_documentation(name):
    docs = Path(__file__).parents[2] / "docs"
    text = "".join((docs / f"{page}.md").read_text("utf-8") for page in ("manifest", "old-documents", "accounts"))
    for schema in subschemas(schema_data(name)):
        for key in schema.get("properties", {}):
            assert key in text, key
