"""Watchdogs: what alarms them and what does not, each once, and what becomes of the run."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST, problems, read

from trainyard.domain.metricrules import rules_of
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State
from trainyard.domain.training import TrainingSpec
from trainyard.domain.watchdogs import STOPPED, Alarm, Gpus, Sight, Then, Watch, alarms
from trainyard.errors import TrainyardError
from trainyard.manifest.limits import load_limits
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.stopping import as_stopped, mark_stopped, words_of_stop
from trainyard.workspace.watching import kept, look

NOW = 1_700_000_000.0
SIGHT = Sight(now=NOW, started_at=NOW - 1000, heard_at=NOW)
ALL = Watch(Then.WARN, Then.STOP, "loss", 10, Then.WARN, 300, Then.WARN, 3600)


def kinds(watch: Watch, **seen: object) -> list[str]:
    return [alarm.kind for alarm in alarms(watch, replace(SIGHT, **seen))]


def test_a_run_that_is_well_alarms_nobody():
    assert kinds(ALL, curves={"loss": (0.9, 0.1)}) == []


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ({"not_finite": ("loss",)}, "not_a_number"),
        ({"curves": {"loss": (1.0, 0.1)}}, "diverging"),
        ({"heard_at": NOW - 300}, "silent"),
        ({"heard_at": 0.0}, "silent"),
        ({"started_at": NOW - 3600}, "longer"),
    ],
)
def test_each_watchdog_has_its_reason_and_is_off_where_nobody_asked_for_it(seen, kind):
    assert kinds(ALL, **seen) == [kind]
    assert kinds(Watch(), **seen) == []


class TestGpus:
    WATCH = Watch(gpu_idle=Then.STOP, gpu_idle_seconds=600)

    def _kinds(self, watched, seen, busy):
        """Say what is alarming; what is given are seconds ago, None is never."""
        found = (NOW - ago if ago is not None else 0.0 for ago in (watched, seen, busy))
        return kinds(self.WATCH, gpus=Gpus(*found))

    def test_gpus_that_were_busy_within_the_time_are_not_idle(self):
        assert self._kinds(watched=900, seen=5, busy=500) == []

    @pytest.mark.parametrize("busy", [None, 606, 2000])
    def test_gpus_that_were_not_are(self, busy):
        assert self._kinds(watched=900, seen=5, busy=busy) == ["gpu_idle"]

    def test_the_time_before_the_program_does_not_count(self):
        assert kinds(self.WATCH, started_at=NOW - 300, gpus=Gpus(NOW - 900, NOW, 0.0)) == []

    @pytest.mark.parametrize(("seen", "busy"), [(None, None), (130, None), (130, 140)])
    def test_gpus_that_do_not_tell_warn_and_stop_nothing(self, seen, busy):
        (alarm,) = alarms(
            self.WATCH, replace(SIGHT, gpus=Gpus(NOW - 900, *(NOW - ago if ago else 0.0 for ago in (seen, busy))))
        )
        assert (alarm.kind, alarm.then) == ("gpu_unseen", Then.WARN)

    def test_they_are_given_time_to_begin(self):
        assert self._kinds(watched=100, seen=None, busy=None) == []

    def test_a_run_without_gpus_that_are_watched_alarms_nobody(self):
        assert self._kinds(None, None, None) == []


def test_another_metric_and_one_below_zero_do_not_diverge():
    assert kinds(ALL, curves={"accuracy": (10, 0.1), "loss": (5, -1)}) == []


def test_what_stops_the_run_is_told_first():
    found = list(alarms(ALL, replace(SIGHT, not_finite=("loss",), curves={"loss": (9, 0.1)})))
    assert [alarm.then for alarm in found] == [Then.STOP, Then.WARN]


class TestWorkspace:
    @pytest.fixture
    def run(self, tmp_path):
        run = RunFolder(tmp_path)
        for folder in (*run.folders, run.training_log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        run.started.touch()
        run.training_log.touch()
        return run

    def _look(self, run, watch, later=0.0):
        now = run.started.stat().st_mtime + later
        return [alarm.kind for alarm in look(run, watch, rules_of({}, {}), lambda: now)]

    def test_a_metric_that_is_no_number_any_more_is_told_once(self, run):
        lines = [json.dumps({"step": step, "loss": value}) for step, value in ((1, 0.5), (2, float("nan")))]
        (run.logs / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        watch = Watch(not_a_number=Then.STOP)
        assert self._look(run, watch) == ["not_a_number"]
        assert self._look(run, watch) == []
        assert kept(run) == [Alarm("not_a_number", Then.STOP, "the metric loss is no number any more")]

    def test_silence_is_counted_from_the_last_line_and_metric(self, run):
        watch = Watch(silent=Then.WARN, silent_seconds=60)
        assert self._look(run, watch, 59) == []
        later = run.started.stat().st_mtime + 30
        os.utime(run.training_log, (later, later))
        assert self._look(run, watch, 61) == []
        assert self._look(run, watch, 91) == ["silent"]

    def test_of_several_learners_one_with_busy_gpus_is_enough(self, run):
        watch = Watch(gpu_idle=Then.WARN, gpu_idle_seconds=600)
        start = run.started.stat().st_mtime
        for learner, busy in ((1, 0), (2, 500)):
            state = run.of_learner(learner).state
            state.mkdir(parents=True, exist_ok=True)
            for name, moment in (("gpus-watched", start), ("gpus-seen", start + 700), ("gpus-busy", start + busy)):
                (state / name).touch()
                os.utime(state / name, (moment, moment))
        assert self._look(run, watch, 700) == []
        os.utime(run.of_learner(2).state / "gpus-busy", (start, start))
        assert self._look(run, watch, 700) == ["gpu_idle"]

    def test_a_program_that_has_not_started_is_not_late(self, run):
        run.started.unlink()
        assert look(run, ALL, rules_of({}, {}), lambda: NOW * 2) == []

    def test_what_somebody_else_wrote_there_is_no_alarm(self, run):
        run.alarms.write_text('[{"kind": 1}]')
        assert kept(run) == []

    def test_a_run_that_was_stopped_ends_so_whatever_its_program_made_of_the_signal(self, run):
        mark_stopped(run, "stopped by a watchdog:\nit diverges", STOPPED)
        assert words_of_stop(run) == "stopped by a watchdog: it diverges"
        ended = as_stopped(run, Outcome("C201", "exit code 143", exit_code=143, gpu_seconds=9))
        assert (ended.code, ended.state, ended.gpu_seconds) == ("C205", State.ERROR, 9)
        assert "watchdog" in ended.hint
        assert not ended.retried
        assert as_stopped(run, Outcome()).code is None, "it had ended by itself"


class TestManifest:
    @pytest.mark.parametrize("text", [MANIFEST, FFDL])
    def test_watchdogs_are_read_and_off_by_default(self, text):
        assert not read(text).submission.spec.watch.on
        watch = "{not_a_number: stop, diverging: {metric: loss}, silent: {after: 30m, then: stop}, longer: {after: 2h}"
        spec = read(f"{text}\nwatch: {watch}, gpu_idle: {{after: 1h, then: stop}}}}\n").submission.spec
        expected = Watch(Then.STOP, Then.WARN, "loss", 10, Then.STOP, 1800, Then.WARN, 7200, Then.STOP, 3600)
        assert spec.watch == expected
        assert TrainingSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec

    @pytest.mark.parametrize(
        "value",
        [
            "{not_a_number: restart}",
            "{silent: {then: stop}}",
            "{silent: {after: soon}}",
            "{silent: {after: 5s}}",
            "{diverging: {factor: 2}}",
            "{diverging: {metric: loss, factor: 1}}",
            "{gpu_idle: warn}",
            "{gpu_idle: {after: 5s}}",
            "true",
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, value):
        assert problems(f"{MANIFEST}watch: {value}\n")


class TestAccount:
    ROW = "accounts:\n- {name: vision, gpus: 1, members: [ada], max_hours: 1, watch: %s}\n"

    def _limits(self, tmp_path, watch):
        file = tmp_path / "quotas.yaml"
        file.write_text(self.ROW % watch)
        return load_limits(quotas=file)

    def test_an_account_may_have_watchdogs_for_runs_that_have_none(self, tmp_path):
        found = self._limits(tmp_path, "{silent: {after: 1h}}").accounts["vision"]
        assert found.watch == Watch(silent=Then.WARN, silent_seconds=3600)

    @pytest.mark.parametrize("watch", ["{silent: {after: soon}}", "{barks: warn}", "{not_a_number: maybe}"])
    def test_what_cannot_be_meant_is_told_with_its_place(self, tmp_path, watch):
        with pytest.raises(TrainyardError, match=r"accounts\[0\]\.watch"):
            self._limits(tmp_path, watch)
