"""What the local cluster reads: quantities, times, selectors, images, fields of the wrong type."""

from __future__ import annotations

import pytest

from localkube import timestamps
from localkube.images import has_moving_tag, problem_of
from localkube.quantities import quantity, whole
from localkube.selection import field_test, label_test
from localkube.shape import OTHER, POD, check_shape, known_fields
from localkube.status import ApiError


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
        assert timestamps.parse(timestamps.nanoseconds(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789

    def test_a_time_of_another_zone_is_the_same_moment(self):
        assert timestamps.parse("2026-01-01T01:30:00+01:30") == timestamps.parse("2026-01-01T00:00:00Z")

    @pytest.mark.parametrize("text", ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z"])
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match=r"is not a time|does not match"):
            timestamps.parse(text)


class TestSelectors:
    OBJECT = {"metadata": {"name": "n", "labels": {"a": "1", "b": ""}}, "status": {"phase": "Running"}}  # noqa: RUF012

    @pytest.mark.parametrize(
        "selector",
        ["", "a=1", "a==1", "a!=2", "c!=1", "a", "!c", "a in (1,2)", "a notin (3)", "c notin (1)", "b=", "a=1,b,!c"],
    )
    def test_these_match(self, selector):
        assert label_test(selector)(self.OBJECT)

    @pytest.mark.parametrize(
        "selector", ["a=2", "a!=1", "c", "!a", "a in (2)", "a notin (1)", "c=", "a=1,c", "c in ()"]
    )
    def test_these_do_not(self, selector):
        assert not label_test(selector)(self.OBJECT)

    @pytest.mark.parametrize("selector", ["a in (1", "=1", "a=b c", "a>1"])
    def test_these_cannot_be_read(self, selector):
        with pytest.raises(ApiError) as caught:
            label_test(selector)
        assert caught.value.status == 400

    def test_fields_are_found_by_their_path(self):
        assert field_test("metadata.name=n,status.phase!=Failed,spec.nodeName=")(self.OBJECT)
        assert not field_test("status.phase=Failed")(self.OBJECT)


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

    def test_a_tag_that_moves_is_told_from_one_that_stays(self):
        assert has_moving_tag("a")
        assert has_moving_tag("a:latest")
        assert not has_moving_tag("a:1")


class TestShape:
    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ([], "object"),
            ({"spec": []}, "spec"),
            ({"spec": {"containers": {}}}, "spec.containers"),
            ({"spec": {"containers": ["x"]}}, "spec.containers[0]"),
            ({"spec": {"containers": [{"command": "ls"}]}}, "spec.containers[0].command"),
            ({"spec": {"containers": [{"args": [1]}]}}, "spec.containers[0].args[0]"),
            ({"spec": {"activeDeadlineSeconds": "1"}}, "spec.activeDeadlineSeconds"),
            ({"spec": {"activeDeadlineSeconds": True}}, "spec.activeDeadlineSeconds"),
            ({"metadata": {"labels": {"a": 1}}}, "metadata.labels.a"),
        ],
    )
    def test_a_value_of_the_wrong_type_is_named(self, body, path):
        with pytest.raises(ApiError, match=f"decoded: {path}".replace("[", r"\[")):
            check_shape(body, POD, strict=False)

    def test_unknown_fields_matter_in_strict_checks_alone(self):
        body = {"spec": {"containers": [{"nmae": "x"}]}, "metadata": {"labels": {"any": "x"}}}
        check_shape(body, POD, strict=False)
        with pytest.raises(ApiError, match=r'unknown field "spec.containers\[0\].nmae"'):
            check_shape(body, POD, strict=True)

    def test_unknown_fields_and_nulls_are_dropped(self):
        body = {"spec": {"x": 1, "containers": [{"name": "a", "image": None}, None]}, "y": 2}
        assert known_fields(body, POD) == {"spec": {"containers": [{"name": "a"}]}}

    def test_other_kinds_may_hold_anything_but_broken_metadata(self):
        check_shape({"data": {"a": 1}, "any": []}, OTHER, strict=True)
        with pytest.raises(ApiError):
            check_shape({"metadata": {"name": 1}}, OTHER, strict=False)
