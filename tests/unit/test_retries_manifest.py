"""How often a run may be started again: read from every family of manifests, refused by its line."""

from __future__ import annotations

import pytest
from manifest_samples import FFDL, MANIFEST, only_problem, read


@pytest.mark.parametrize("manifest", [MANIFEST, FFDL], ids=["wml", "ffdl"])
class TestReading:
    def test_a_manifest_that_says_nothing_leaves_it_to_the_service(self, manifest: str) -> None:
        assert read(manifest).submission.spec.retries is None
        assert read(f"{manifest}retries:\n").submission.spec.retries is None

    @pytest.mark.parametrize("number", [0, 1, 10])
    def test_the_number_is_taken(self, manifest: str, number: int) -> None:
        assert read(f"{manifest}retries: {number}\n").submission.spec.retries == number

    @pytest.mark.parametrize("text", ["-1", "11", "two", "1.5", "true", "[1]"])
    def test_anything_else_is_refused_with_its_line_and_a_hint(self, manifest: str, text: str) -> None:
        problem = only_problem(f"{manifest}retries: {text}\n")
        assert (problem.path, problem.line) == ("retries", manifest.count("\n") + 1)
        assert problem.hint.startswith("Write a whole number")
