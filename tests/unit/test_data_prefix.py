"""A prefix in the data reference: read from every family, refused by its line, and a dataset of its own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST, only_problem, read
from samples import SPEC

from trainyard.domain.training import TrainingSpec
from trainyard.steps.buckets import is_training_data
from trainyard.stores.base import Entry
from trainyard.workspace.layout import store_key

_SIDES = {"wml": (MANIFEST, "source:"), "ffdl": (FFDL, "training_data:")}


def _below(manifest, side, prefix):
    """Put a prefix into a side of a manifest, as the first of its keys."""
    return re.sub(rf"^( *(?:- )?){side}\n( +)", rf"\1{side}\n\2prefix: {prefix}\n\2", manifest, count=1, flags=re.M)


def _with(family, prefix):
    manifest, side = _SIDES[family]
    changed = _below(manifest, side, prefix.replace("\\", r"\\"))
    assert changed != manifest, manifest
    return changed


@pytest.mark.parametrize("family", _SIDES)
class TestReading:
    @pytest.mark.parametrize("text", ["digits/2026", "digits/2026/", "'digits/2026'"])
    def test_it_ends_with_a_slash_however_it_is_written(self, family, text):
        spec = read(_with(family, text)).submission.spec
        assert (spec.data.prefix, spec.results.prefix) == ("digits/2026/", "")
        assert TrainingSpec.from_dict(spec.as_dict()) == spec

    def test_a_number_is_a_prefix_too_and_nothing_is_none(self, family):
        assert read(_with(family, "2026")).submission.spec.data.prefix == "2026/"
        assert read(_with(family, "")).submission.spec.data.prefix == ""

    @pytest.mark.parametrize("text", ["/digits", "a//b", "../other", "a/./b", "/", '"a\\tb"'])
    def test_what_no_key_begins_with_is_refused(self, family, text):
        assert only_problem(_with(family, text)).path.endswith("prefix")


def test_results_have_none():
    assert "there is no key prefix" in only_problem(_below(MANIFEST, "target:", "a")).message


def test_each_prefix_is_a_dataset_of_its_own_and_none_is_as_it_was():
    keys = {store_key(replace(SPEC.data, prefix=prefix)) for prefix in ("", "a/", "b/")}
    assert len(keys) == 3
    assert store_key(replace(SPEC.data, prefix="")) == store_key(SPEC.data)


def test_of_a_bucket_with_results_too_all_below_the_prefix_is_data():
    spec = replace(SPEC, data=replace(SPEC.results, prefix="digits/"))
    assert is_training_data(spec, Entry("training-DOl4q2LkR/x", 1, "e"))
