"""The schedule of a manifest: read in every family, refused by its lines, all faults at once."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from manifest_samples import FFDL, MANIFEST, limits, masked, only_problem, problems, read
from readmanifest import read_manifest

from trainyard.domain.schedule import Overlap, Schedule
from trainyard.errors import TrainyardError
from trainyard.manifest.schema import schema_data

BERLIN = ZoneInfo("Europe/Berlin")
LINE = MANIFEST.count("\n") + 1


def with_schedule(*lines: str) -> str:
    return MANIFEST + "schedule:\n" + "".join(f"  {line}\n" for line in lines)


def schedule(*lines: str) -> Schedule | None:
    return read(with_schedule(*lines)).submission.spec.schedule


def short(text: str, manifest: str = MANIFEST) -> Schedule | None:
    return read(f"{manifest}schedule: {text}\n").submission.spec.schedule


def moment(*parts: int, zone: ZoneInfo = BERLIN) -> float:
    return datetime(*parts, tzinfo=zone).timestamp()


class TestPoint:
    _SEARCH = "search: {metric: acc, goal: maximize, trials: 2, space: {lr: [1, 2]}}\n"

    def test_the_best_point_of_a_search_is_trained_again(self):
        text = with_schedule('cron: "@daily"', "point: best") + self._SEARCH
        assert read(text).submission.spec.schedule == Schedule("0 0 * * *", point="best")

    def test_without_a_search_there_is_none(self):
        problem = only_problem(with_schedule('cron: "@daily"', "point: best"))
        assert (problem.path, problem.message) == ("schedule.point", "there is no search whose best point it could be.")


class TestReading:
    def test_a_manifest_without_one_has_none(self):
        assert read(MANIFEST).submission.spec.schedule is None
        assert read(FFDL).submission.spec.schedule is None

    @pytest.mark.parametrize("text", ["", "''", "null", "~"])
    def test_a_key_without_a_value_is_no_schedule(self, text):
        assert short(text) is None

    def test_a_cron_with_all_its_keys(self):
        found = schedule('cron: "30 2 * * *"', "timezone: Europe/Berlin", "overlap: wait", "until: 2087-01-31")
        assert found == Schedule("30 2 * * *", "Europe/Berlin", until=moment(2087, 1, 31), overlap=Overlap.WAIT)

    def test_a_cron_alone_is_in_utc_and_skips(self):
        assert schedule('cron: "@weekly"') == Schedule("0 0 * * 0", "UTC", overlap=Overlap.SKIP)

    def test_looks_for_new_data_with_all_their_keys(self):
        found = schedule("on: new-data", "every: 1h", "timezone: Europe/Berlin", "until: 2087-01-31T18:00")
        assert found == Schedule(every_seconds=3600, timezone="Europe/Berlin", until=moment(2087, 1, 31, 18))

    @pytest.mark.parametrize("key", ["on", '"on"'])
    def test_on_is_a_word_whatever_yaml_once_took_it_for(self, key):
        assert schedule(f"{key}: new-data") == Schedule(every_seconds=900)

    @pytest.mark.parametrize(
        ("text", "seconds"), [("60s", 60), ("1m", 60), ("15m", 900), ("90M", 5400), ("1 d", 86400), ("30d", 2592000)]
    )
    def test_the_time_between_two_looks_has_its_unit(self, text, seconds):
        assert schedule("on: new-data", f"every: {text}") == Schedule(every_seconds=seconds)

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("new-data", Schedule(every_seconds=900)),
            ('"@daily"', Schedule("0 0 * * *")),
            ('"30 2 * * *"', Schedule("30 2 * * *")),
            ("30 2 * * MON", Schedule("30 2 * * mon")),
        ],
    )
    @pytest.mark.parametrize("manifest", [MANIFEST, FFDL])
    def test_the_short_form_is_read_in_every_family(self, manifest, text, wanted):
        assert short(text, manifest) == wanted

    def test_ffdl_has_the_long_form_too(self):
        found = read(FFDL + "schedule: {cron: '0 4 * * *', timezone: Asia/Tokyo}\n").submission.spec.schedule
        assert found == Schedule("0 4 * * *", "Asia/Tokyo")

    def test_json_has_it_too(self):
        data = {"model_definition": {"name": "a"}, "schedule": {"on": "new-data", "every": "5x"}}
        assert problems(json.dumps(data))["schedule.every"].seen == "5x"

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("2087-01-31", moment(2087, 1, 31)),
            ("2087-01-31T18:30", moment(2087, 1, 31, 18, 30)),
            ("2087-01-31 18:30:00", moment(2087, 1, 31, 18, 30)),
            ("2087-01-31T18:30Z", moment(2087, 1, 31, 18, 30, zone=ZoneInfo("UTC"))),
            ("2087-01-31T18:30-05:00", moment(2087, 1, 31, 18, 30, zone=ZoneInfo("Etc/GMT+5"))),
        ],
    )
    def test_until_is_in_the_time_zone_unless_it_says_otherwise(self, text, wanted):
        found = schedule('cron: "@daily"', "timezone: Europe/Berlin", f"until: {text}")
        assert found is not None
        assert found.until == wanted

    def test_until_is_held_against_the_clock(self):
        text = with_schedule('cron: "@daily"', "until: 2027-01-31").encode()
        end = moment(2027, 1, 31, zone=ZoneInfo("UTC"))
        found = read_manifest(text, limits(), clock=lambda: end - 90000).submission
        assert found.spec.schedule is not None
        assert found.warnings == ()
        with pytest.raises(TrainyardError) as refused:
            read_manifest(text, limits(), clock=lambda: end)
        assert [problem.path for problem in refused.value.problems] == ["schedule.until"]

    def test_a_schedule_that_is_over_before_it_is_due_is_warned_of(self):
        text = with_schedule('cron: "@yearly"', "until: 2027-01-31").encode()
        (warning,) = read_manifest(text, limits(), clock=lambda: moment(2027, 1, 15)).submission.warnings
        assert warning == f"line {LINE + 2}: until comes before the cron is due for the first time"

    def test_the_masked_manifest_shows_it(self):
        assert "schedule:\n  on: new-data\n  every: 1h\n" in masked(with_schedule("on: new-data", "every: 1h"))


class TestRefusals:
    def test_all_faults_are_told_at_once_each_with_its_place(self):
        found = problems(with_schedule('cron: "* * * *"', "timezone: Berlin", "overlap: queue", "untill: 2087-01-31"))
        reported = {path: (one.line, one.column, one.seen, one.code) for path, one in found.items()}
        assert reported == {
            "schedule.cron": (LINE + 1, 9, "* * * *", "C101"),
            "schedule.timezone": (LINE + 2, 13, "Berlin", "C101"),
            "schedule.overlap": (LINE + 3, 12, "queue", "C101"),
            "schedule.untill": (LINE + 4, 3, None, "C101"),
        }
        assert found["schedule.untill"].hint == "Did you mean until?"

    def test_faults_of_the_schedule_stand_beside_those_of_the_rest(self):
        found = problems(with_schedule('cron: "61 * * * *"').replace("small", "enormous"))
        assert set(found) == {"model_definition.execution.resource", "schedule.cron"}

    def test_cron_and_on_exclude_each_other(self):
        problem = only_problem(with_schedule('cron: "@daily"', "on: new-data"))
        assert (problem.path, problem.line, problem.message) == ("schedule.on", LINE + 2, "cron and on are both given.")

    @pytest.mark.parametrize("lines", [("timezone: UTC",), ("overlap: skip",), ("cron:", "timezone: UTC")])
    def test_one_of_them_must_be_there(self, lines):
        assert only_problem(with_schedule(*lines)).path == "schedule.cron"

    def test_every_belongs_to_on(self):
        assert only_problem(with_schedule('cron: "@daily"', "every: 1h")).path == "schedule.every"

    def test_overlap_does_not_belong_to_on(self):
        problem = only_problem(with_schedule("on: new-data", "overlap: wait"))
        assert problem.path == "schedule.overlap"
        assert problem.hint == "Remove it: new data waits by itself until the run before it has ended."

    def test_a_time_zone_without_effect_is_refused(self):
        assert only_problem(with_schedule("on: new-data", "timezone: Asia/Tokyo")).path == "schedule.timezone"

    @pytest.mark.parametrize("text", ["59s", "0m", "31d", "999999999d"])
    def test_looks_are_at_least_a_minute_and_at_most_thirty_days_apart(self, text):
        assert only_problem(with_schedule("on: new-data", f"every: {text}")).path == "schedule.every"

    @pytest.mark.parametrize("text", ["15", "hourly", "1h30m", "-1h", "1.5h", "1w", "9999999999d"])
    def test_another_time_between_two_looks_is_refused(self, text):
        assert "such as 15m" in only_problem(with_schedule("on: new-data", f"every: {text}")).hint

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("Europe/Berln", "Europe/Berlin"),
            ("New York", "America/New_York"),
            ("Oslo", "Europe/Oslo"),
            ("CEST", "Europe/Berlin"),
            ("Zürich", "Europe/Zurich"),
            ("São Paulo", "America/Sao_Paulo"),
            ("Wien", "Europe/Vienna"),
            ("Europe\\Berlin", "Europe/Berlin"),
            ("Paris, France", "Europe/Paris"),
            ("Berlin time", "Europe/Berlin"),
            ("Europe/Berlin (CEST)", "Europe/Berlin"),
            ("Central Europe Standard Time", "Europe/Budapest"),
            ("MESZ", "Europe/Berlin"),
            ("BST", "Europe/London"),
            ("PDT", "America/Los_Angeles"),
            ("CST", "America/Chicago"),
            ("JST", "Asia/Tokyo"),
            ("W. Europe Standard Time", "Europe/Berlin"),
            ("Munich", "Europe/Berlin"),
            ("Germany", "Europe/Berlin"),
            ("India", "Asia/Kolkata"),
        ],
    )
    def test_an_unknown_time_zone_is_refused_with_the_one_that_was_meant(self, text, meant):
        problem = only_problem(with_schedule('cron: "@daily"', f"timezone: {text}"))
        assert (problem.path, problem.seen) == ("schedule.timezone", text)
        assert problem.hint.startswith(f"Did you mean {meant}? ")

    @pytest.mark.parametrize(
        ("text", "zone"),
        [("UTC+2", "Etc/GMT-2"), ("GMT-5", "Etc/GMT+5"), ("+01:00", "Etc/GMT-1"), ("utc+14", "Etc/GMT-14")],
    )
    def test_an_offset_is_answered_with_the_zone_that_has_it(self, text, zone):
        hint = only_problem(with_schedule('cron: "@daily"', f"timezone: {text}")).hint
        assert hint.endswith(f"is {zone}.")
        hours = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()
        assert hours is not None
        assert f"{hours.total_seconds() / 3600:+03.0f}"[-2:].lstrip("0") in text
        assert (hours.total_seconds() > 0) == ("+" in text)

    @pytest.mark.parametrize("text", ["XYZ", "CXST", "QQT", "UTC+5:30", "Nowhere/Land"])
    def test_no_zone_is_guessed_by_its_letters(self, text):
        assert "Did you mean" not in only_problem(with_schedule('cron: "@daily"', f"timezone: {text}")).hint

    @pytest.mark.parametrize(("zone", "words"), [("Etc/GMT+2", "2 hours behind UTC"), ("EST", "no summer time")])
    def test_a_zone_that_is_not_what_it_looks_like_is_warned_of(self, zone, words):
        (warning,) = read(with_schedule('cron: "@daily"', f"timezone: {zone}")).submission.warnings
        assert words in warning

    @pytest.mark.parametrize("text", ["localtime", "Factory", "/etc/localtime", "../Europe/Berlin", "Europe"])
    def test_what_is_no_name_of_a_time_zone_is_refused(self, text):
        assert only_problem(with_schedule('cron: "@daily"', f"timezone: {text}")).path == "schedule.timezone"

    @pytest.mark.parametrize("text", ["31.1.2087", "2087", "tomorrow", "2087-13-01", "2087-01-31T25:00", "0001-01-01"])
    def test_another_until_is_refused(self, text):
        assert only_problem(with_schedule('cron: "@daily"', f"until: {text}")).path == "schedule.until"

    def test_until_is_not_judged_in_a_zone_that_is_not_known(self):
        found = problems(with_schedule('cron: "@daily"', "timezone: Nowhere/Land", "until: 2001-01-01"))
        assert set(found) == {"schedule.timezone"}

    @pytest.mark.parametrize("cron", ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"])
    def test_a_cron_that_never_comes_is_refused(self, cron):
        assert only_problem(with_schedule(f'cron: "{cron}"')).message == "the cron names a day that never comes."

    @pytest.mark.parametrize("cron", ["@reboot", "0 0 2 * * *", "0 0 L * *"])
    @pytest.mark.parametrize("form", ["long", "short"])
    def test_a_cron_that_is_not_read_here_is_refused(self, form, cron):
        text = with_schedule(f'cron: "{cron}"') if form == "long" else f'{MANIFEST}schedule: "{cron}"\n'
        problem = only_problem(text)
        assert (problem.path, problem.seen) == ("schedule.cron" if form == "long" else "schedule", cron)

    @pytest.mark.parametrize("text", ["newdata", "daily", "New-Data"])
    def test_a_word_that_is_no_schedule_is_refused_with_those_there_are(self, text):
        problem = only_problem(f"{MANIFEST}schedule: {text}\n")
        assert (problem.path, problem.line, problem.column) == ("schedule", LINE, 11)
        assert "new-data" in problem.hint

    @pytest.mark.parametrize("text", ["true", "5", "[new-data]", "[{cron: '@daily'}]"])
    def test_another_kind_of_value_is_refused(self, text):
        assert only_problem(f"{MANIFEST}schedule: {text}\n").path == "schedule"

    @pytest.mark.parametrize("line", ["cron: 5", "cron: ['@daily']", "timezone: 2", "until: [2087]", "on: true"])
    def test_another_kind_of_value_of_a_key_is_refused(self, line):
        key = line.partition(":")[0]
        lines = (line,) if key in ("cron", "on") else ('cron: "@daily"', line)
        assert only_problem(with_schedule(*lines)).path == f"schedule.{key}"

    @pytest.mark.parametrize("cron", ["*/5 * * * *", "* * * * *"])
    def test_a_cron_that_yaml_takes_for_an_alias_is_refused_with_quotes_as_the_hint(self, cron):
        found = problems(with_schedule(f"cron: {cron}")).values()
        assert all("in quotes" in problem.hint for problem in found)
        assert {problem.line for problem in found} == {LINE + 1}

    def test_the_old_place_of_another_service_is_refused(self):
        text = MANIFEST.replace("    resource: small\n", '    resource: small\n    schedule: "@daily"\n')
        assert only_problem(text).path == "model_definition.execution.schedule"


def test_both_families_have_the_same_schedule():
    one, other = (schema_data(name)["$defs"] for name in ("manifest", "ffdl"))
    assert one["schedule"] == other["schedule"]
    assert one["scheduleMap"] == other["scheduleMap"]
