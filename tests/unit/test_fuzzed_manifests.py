"""Hostile manifests and zips by the hundred, always the same; `make fuzz` makes others, by the ten thousand."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from fuzz.child import verdict_on
from fuzz.judging_manifests import MANIFESTS
from fuzz.judging_zips import ZIPS, judge_zip, run_zip
from fuzz.manifests import hostile_manifest, real_manifests
from fuzz.misdeeds import FAILING
from fuzz.pool import Bounds, Job, judged
from fuzz.scalars import SECRET
from fuzz.verdicts import FAILURES, random_of
from fuzz.zips import NEVER_ACCEPTED, hostile_zip
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from manifest_samples import FFDL, MANIFEST, change, masked, only_problem, problems, read, refusal

from trainyard.errors import Problem
from trainyard.manifest.masking import MASK

_SEED = "trainyard"


def ends(kind, count):
    found = Counter()
    for number in range(count):
        verdict = kind.judge(data := kind.make(random_of(_SEED, number)), kind.run(data))
        assert not verdict.failed, f"input {number}: {verdict}"
        found[verdict.end] += 1
    return found


def test_hundreds_of_hostile_manifests_are_accepted_or_refused_as_promised():
    common = {"accepted", "refused C101"}
    assert common <= set(ends(MANIFESTS, 200)) <= common | {"refused C104"}


def test_dozens_of_hostile_zips_are_accepted_or_refused_as_promised():
    assert {"accepted", "refused C102"} == set(ends(ZIPS, 40))


@settings(max_examples=60, derandomize=True, phases=[Phase.generate, Phase.shrink])
@given(st.randoms(use_true_random=False))
def test_a_manifest_made_of_any_randomness_is_answered_as_promised(rng):
    data = hostile_manifest(rng)
    verdict = MANIFESTS.judge(data, MANIFESTS.run(data))
    assert not verdict.failed, verdict


@pytest.mark.parametrize("make", NEVER_ACCEPTED)
def test_a_forgery_that_must_be_refused_is_refused(make):
    for number in range(12):
        data = make(random_of(_SEED, number))
        assert judge_zip(data, run_zip(data)).end == "refused C102"


def test_the_same_seed_makes_the_same_input():
    for make in (hostile_manifest, hostile_zip):
        assert make(Random("a")) == make(Random("a"))
    assert len({hostile_manifest(random_of(_SEED, number)) for number in range(20)}) > 15


def test_what_hostile_manifests_are_made_of_holds_secrets_to_be_found_again():
    assert sum(SECRET.encode() in data for data in real_manifests()) > 40


# What the campaigns found, and what became of it.
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a: 1\nb: "\\U00110000"\n', 2),
        ('a: 1\nb: [\n"\\U99999999"]\n', 3),
        ("%YAML " + "9" * 5000 + "\n---\na: 1\n", 1),
    ],
)
def test_text_that_breaks_the_parser_itself_is_told_with_its_line(text, line):
    assert only_problem(text).line == line


@pytest.mark.parametrize("key", ["\u202ename", "na\u200bme", "\ufeffname", "na\xa0me"])
def test_a_character_that_does_not_print_is_told_by_its_escape(key):
    found = str(only_problem(change(MANIFEST, "  name: tf-mnist", f"  name: tf-mnist\n  {key}: x")))
    assert found.isprintable()
    assert key.encode("unicode_escape").decode() in found


def test_a_problem_stands_on_one_line_whatever_it_tells_of():
    reported = Problem("a\nb.", "c\rd.", path="\x1b[31m", seen="\u202e", file="\ud83d")
    assert str(reported) == "\\ud83d: \\x1b[31m: a\\nb. c\\rd."
    assert reported.seen == "\\u202e"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "training_results_reference:\n  connection:",
            "training_results_reference: '{password: sEcReT/1}'\nx:\n  connection:",
        ),
        ("endpoint_url: https://s3.example.com", "endpoint_url: https://ada:pa/sEcReT/1@s3.example.com"),
        ("endpoint_url: https://s3.example.com", "endpoint_url: ada:sEcReT/1@s3.example.com"),
        ("bucket: mnist-data", "bucket: ada:sEcReT/1@mnist data"),
        ("resource: small", "resource: https://ada:sEcReT/1@s3.example.com"),
        ("resource: small", "resource: https://ada:" + "sEcReT/1" * 20 + "@s3.example.com"),
        ("  source:", "  surce: ada:sEcReT/1@host\n  source:"),
        ("  name: tf-mnist", "  https://ada:sEcReT/1@host: x\n  name: tf-mnist"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_told(old, new):
    assert old in MANIFEST
    assert "sEcReT" not in str(refusal(MANIFEST.replace(old, new, 1)).as_dict())


def test_user_and_password_before_a_host_are_masked_wherever_they_stand():
    text = change(MANIFEST, "Digits.", "from ada:sEcReT/1@host or s3://ada:sE/cReT@host, ask ada@example.com")
    read(text)
    assert f"from {MASK}@host or s3://{MASK}@host, ask ada@example.com" in masked(text)


def test_values_of_a_store_that_are_no_secret_are_shown():
    assert (
        problems(change(MANIFEST, "mnist-data", "mnist data"))["training_data_reference[0].source.bucket"].seen
        == "mnist data"
    )
    assert problems(change(FFDL, "mount_cos", "mount_sea"))["data_stores[0].type"].seen == "mount_sea"


# The judges are judged: what goes wrong in a child is found.
def test_a_campaign_finds_what_hangs_hoards_dies_or_fails_and_goes_on():
    kinds = {"SPINNING": "slow", "HOARDING": "big", "DYING": "crashed", "FAILING": "crashed", "GOOD": "accepted"}
    jobs = [Job(f"fuzz.misdeeds:{name}", _SEED, number) for number, name in enumerate(kinds)]
    found = {job.kind.partition(":")[2]: verdict.end for job, verdict in judged(jobs, Bounds(0.2, 64 * 1024**2), 1)}
    assert found == kinds


def test_a_failure_of_the_service_is_told_with_its_last_lines():
    reported = verdict_on(FAILING, b"")
    assert reported["end"] in FAILURES
    assert "RuntimeError: broken" in reported["detail"]
