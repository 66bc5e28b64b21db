"""What the cluster reads: quantities, times, selectors, images."""

from __future__ import annotations

import pytest

from localkube.errors import ApiError
from localkube.images import problem_of
from localkube.listing import selection
from localkube.values import nanoseconds, parse_time, quantity, whole


class TestQuantities:
    @pytest.mark.parametrize(
        ("text", "value"),
        [("1", 1), ("500m", 0.5), ("1Gi", 2**30), ("1.5k", 1500), ("1e3", 1000), ("2E", 2 * 10**18), ("100u", 0.0001)],
    )
    def test_what_kubernetes_writes_is_read(self, text, value):
        assert float(quantity(text)) == pytest.approx(value)

    @pytest.mark.parametrize("text", ["", "1GB", "1 Gi", "Gi", "1gi", "0x1", "None", "1K"])
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match="quantities must match"):
            quantity(text)

    def test_fractions_are_rounded_up(self):
        assert whole("1500m") == 2


class TestTimes:
    def test_a_time_that_was_written_is_read_again(self):
        assert parse_time(nanoseconds(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789

    def test_a_time_of_another_zone_is_the_same_moment(self):
        assert parse_time("2026-01-01T01:30:00+01:30") == parse_time("2026-01-01T00:00:00Z")

    @pytest.mark.parametrize("text", ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z"])
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match=r"is not a time|does not match"):
            parse_time(text)


class TestSelectors:
    OBJECT = {"metadata": {"name": "n", "labels": {"a": "1", "b": ""}}, "status": {"phase": "Running"}}  # noqa: RUF012

    @pytest.mark.parametrize(
        "selector",
        ["", "a=1", "a==1", "a!=2", "c!=1", "a", "!c", "a in (1,2)", "a notin (3)", "c notin (1)", "b=", "a=1,b,!c"],
    )
    def test_these_match(self, selector):
        assert selection(selector, "")(self.OBJECT)

    @pytest.mark.parametrize(
        "selector", ["a=2", "a!=1", "c", "!a", "a in (2)", "a notin (1)", "c=", "a=1,c", "c in ()"]
    )
    def test_these_do_not(self, selector):
        assert not selection(selector, "")(self.OBJECT)

    @pytest.mark.parametrize("selector", ["a in (1", "=1", "a=b c", "a>1"])
    def test_these_cannot_be_read(self, selector):
        with pytest.raises(ApiError) as caught:
            selection(selector, "")
        assert caught.value.status == 400

    def test_fields_are_found_by_their_path(self):
        assert selection("", "metadata.name=n,status.phase!=Failed,spec.nodeName=")(self.OBJECT)
        assert not selection("", "status.phase=Failed")(self.OBJECT)


class TestImages:
    @pytest.mark.parametrize("image", ["i", "a/b:1", "host.example:5000/a/b_c:tag-1", "a@sha256:" + "0" * 64])
    def test_references_are_read(self, image):
        assert problem_of(image, "Always", ()) is None

    @pytest.mark.parametrize("image", ["a/B", "a:", "a b", "a//b", "a:t:u", "-a", "a@sha256:1"])
    def test_what_is_no_reference_is_told_so(self, image):
        problem = problem_of(image, "Always", ())
        assert problem is not None
        assert problem.reason == "InvalidImageName"

    def test_images_that_are_not_there_are_told_so(self):
        assert [problem_of(image, "Always", ("x/*",)).reason for image in ("x/y:1", "any:missing")] == [
            "ErrImagePull"
        ] * 2
        assert problem_of("x/y:1", "Never", ("x/*",)).reason == "ErrImageNeverPull"
