"""Which crons people may write."""

from __future__ import annotations

import pytest

from trainyard.domain.cron import PRESETS, fault_of_cron, five_fields


@pytest.mark.parametrize(
    "cron",
    [
        "30 2 * * *",
        "* * * * *",
        "*/5 8-18 * * mon-fri",
        "0,15,30,45 * * * *",
        "10-50/20 * * * *",
        "0 0 1,15 jan,jul *",
        "0 22-2 * * fri-mon",
        "0 0 * * 7",
        "00 02 * * SUN",
        "0 0 29 2 *",
        "*/60 */24 */31 */12 */7",
        *PRESETS,
    ],
)
def test_the_usual_crons_are_taken(cron):
    assert fault_of_cron(cron) is None


@pytest.mark.parametrize(
    ("cron", "field", "value"),
    [
        ("60 * * * *", "minute", "60"),
        ("* 24 * * *", "hour", "24"),
        ("* * 0 * *", "day of the month", "0"),
        ("* * 32 * *", "day of the month", "32"),
        ("* * * 13 *", "month", "13"),
        ("* * * * 8", "day of the week", "8"),
        ("mon * * * *", "minute", "mon"),
        ("* * * mon *", "month", "mon"),
        ("* * * * monday", "day of the week", "monday"),
        ("1,,2 * * * *", "minute", "1,,2"),
        ("1- * * * *", "minute", "1-"),
        ("-1 * * * *", "minute", "-1"),
        ("5-5 * * * *", "minute", "5-5"),
        ("* 05-5 * * *", "hour", "05-5"),
        ("* * * * fri-fri", "day of the week", "fri-fri"),
        ("*/0 * * * *", "minute", "*/0"),
        ("*/90 * * * *", "minute", "*/90"),
        ("* */36 * * *", "hour", "*/36"),
        ("/5 * * * *", "minute", "/5"),
        ("٣ * * * *", "minute", "٣"),
        ("0 0 ? * *", "day of the month", "?"),
        ("0 0 L * *", "day of the month", "l"),
        ("0 0 15W * *", "day of the month", "15w"),
        ("0 0 * * 5L", "day of the week", "5l"),
        ("0 0 * * 1#2", "day of the week", "1#2"),
        ("H * * * *", "minute", "h"),
        ("R * * * *", "minute", "r"),
        ("R(0-30) * * * *", "minute", "r(0-30)"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_its_value(cron, field, value):
    message, hint = fault_of_cron(cron)
    assert message == f"the {field} of the cron cannot be {value}."
    assert hint.startswith("Use ")


@pytest.mark.parametrize(("cron", "count"), [("", "0 fields"), ("daily", "1 field"), ("0 * * *", "4 fields")])
def test_a_cron_without_five_fields_is_refused(cron, count):
    message, hint = fault_of_cron(cron)
    assert message == f"a cron has five fields, this has {count}."
    assert "minute, hour" in hint


@pytest.mark.parametrize("cron", ["0 30 2 * * *", "0 0 1 1 * 2030", "0 0 0 1 1 * 2030"])
def test_seconds_and_years_are_refused(cron):
    assert "five fields" in fault_of_cron(cron)[0]


@pytest.mark.parametrize("cron", ["@reboot", "@dayly", "@every 5m"])
def test_another_preset_is_refused(cron):
    assert fault_of_cron(cron)


def test_a_preset_is_written_out():
    assert five_fields("@Daily") == "0 0 * * *"
    assert all(fault_of_cron(cron) is None and len(cron.split()) == 5 for cron in PRESETS.values())


def test_a_cron_is_kept_with_single_blanks_and_small_letters():
    assert five_fields(" 30  2\t* * MON ") == "30 2 * * mon"
