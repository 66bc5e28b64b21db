"""Hostile manifests end in a refusal, never in another exception, and soon."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifest_samples import FFDL, MANIFEST, limits
from readmanifest import read_manifest

from trainyard.errors import TrainyardError
from trainyard.manifest.document import read_document
from trainyard.manifest.program import program_of

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = [line.strip() for line in (MANIFEST + FFDL).splitlines()]
HOSTILE = ["\t", "---", "...", "&a", "*a", "!!python/object:os.system", "<<:", "[", "]", "{", "}", ": ", "- ", "? ",
           "|", ">", "'", '"', "\\", "%", "@", "`", "\0", "\ufeff", "\u2028", "\x85", "9" * 50, "1e999", ".inf",
           "~", "null", "yes", "x" * 300, "https://[", "a:b", "\r", "=", "\N{GRINNING FACE}", '"\\ud83d"']  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(PIECES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def survives(data: bytes) -> None:
    """Read a manifest; whatever it is, nothing but a TrainyardError with problems may come out."""
    error = None
    try:
        found = read_manifest(data, limits())
    except TrainyardError as caught:
        error = caught
    if error:
        assert error.problems
        assert error.code.code in ("C101", "C104")
        json.dumps(error.as_dict()).encode()
    else:
        json.dumps(found.submission.spec.as_dict()).encode()
        assert found.masked
        program_of(found.submission.spec.command)


@QUICK
@given(st.binary(max_size=400))
@example(b"")
@example(b"\xff\xfe")
@example(b"\xff\xfe\x00\xd8")
@example(b"\xef\xbb\xbf")
@example(b"\x00" * 100)
def test_any_bytes_are_survived(data):
    survives(data)


@QUICK
@given(
    st.lists(st.sampled_from(PIECES + HOSTILE) | st.text(max_size=12), max_size=25),
    st.sampled_from(["\n", " ", "\n  "]),
)
def test_any_heap_of_yaml_is_survived(pieces, glue):
    survives(glue.join(pieces).encode("utf-8", "surrogatepass"))


@QUICK
@given(st.data(), st.sampled_from([MANIFEST, FFDL]))
def test_any_change_of_a_good_manifest_is_survived(data, text):
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(HOSTILE) | st.text(max_size=6)) + text[end:]
    survives(text.encode("utf-8", "surrogatepass"))


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


@QUICK
@given(st.data(), st.sampled_from([MANIFEST, FFDL]), values)
def test_any_value_anywhere_in_a_manifest_is_survived(data, text, value):
    tree = read_document(text.encode(), 2**20).data
    path = data.draw(st.sampled_from(list(paths(tree))))
    if path:
        at = tree
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
    else:
        tree = value
    survives(json.dumps(tree).encode())


@pytest.mark.parametrize(
    "text",
    [
        MANIFEST + "".join(f"key{n}: 1\n" for n in range(9000)),
        MANIFEST.replace("aws_access_key_id", "aws_" + "x" * 180, 1),
        MANIFEST.replace("Digits.", "words " * 40_000, 1),
        MANIFEST.replace("python3 ", "python3 " + "-x " * 80_000, 1),
        MANIFEST.replace("type: s3", "type: " + "s" * 900_000, 1),
        MANIFEST.replace("mnist-data", "m" + " " * 400_000 + "m", 1),
        MANIFEST.replace("https://s3.example.com", "-" * 900_000, 1),
        MANIFEST.replace("https://s3.example.com", "a@" * 450_000, 1),
        MANIFEST.replace("sEcReT/1", "[" + "x" * 900_000, 1),
        MANIFEST.replace("tensorflow", "insert " * 30_000, 1),
        "training_data_reference: [" + "{}, " * 5000 + "]\nmodel_definition: {}\n",
        FFDL + "evaluation_metrics: {" + ", ".join(f"k{n}: [1, 2]" for n in range(3000)) + "}\n",
        "a" * 150 + ": {" + ", ".join("b" * 150 + f"{n}: 1" for n in range(6000)) + "}\n",
    ],
    ids=range(13),
)
def test_a_large_manifest_is_answered_soon(text):
    begun = time.process_time()
    survives(text.encode())
    assert time.process_time() - begun < 10  # measured at most 1 s on an idle machine, 4 s on a busy one


@pytest.mark.parametrize(
    "text",
    [
        "a" * 150 + ": {" + ", ".join("b" * 150 + f"{n}: 1" for n in range(5000)) + "}\n",
        MANIFEST + "".join(f"key{n}: 1\n" for n in range(9000)),
        MANIFEST.replace("Digits.", "x" * 900_000),
    ],
    ids=range(3),
)
def test_a_large_manifest_takes_little_memory(text):
    tracemalloc.start()
    with contextlib.suppress(TrainyardError):
        read_manifest(text.encode(), limits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20
