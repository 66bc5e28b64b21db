"""Which checkpoints are complete, and where another attempt goes on: never from one that was being written."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from manifest_samples import FFDL, MANIFEST, problems, read
from samples import MODEL_ID, RUN, SPEC
from stepsbench import Bench

from trainyard.domain.checkpointing import Candidate, Checkpointing, complete, is_half_written
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.steps.checkpoints import copy_newest, resumed_from
from trainyard.workspace.checkpoints import newest_complete
from trainyard.workspace.layout import RunFolder

NOW = 1_700_000_000.0


def names(*found: Candidate, alive_at: float = NOW) -> list[str]:
    return [each.name for each in complete(found, alive_at)]


def test_what_was_renamed_to_its_name_is_complete_at_once():
    assert names(Candidate("a", NOW, renamed=True), Candidate("b", NOW)) == ["a"]


def test_what_was_written_in_place_is_complete_once_the_program_has_lived_on_without_changing_it():
    assert names(Candidate("a", NOW - 29)) == []
    assert names(Candidate("a", NOW - 30)) == ["a"]


def test_the_newest_comes_first():
    found = [Candidate(name, NOW - age, renamed=True) for name, age in (("old", 90), ("new", 10), ("mid", 50))]
    assert names(*found) == ["new", "mid", "old"]


def test_where_a_program_marks_what_is_complete_nothing_else_is():
    found = (Candidate("a", NOW - 100, renamed=True), Candidate("b", NOW - 200), Candidate("b.done", NOW - 190))
    assert names(*found) == ["b"]
    assert names(Candidate("a", NOW, marked=True), Candidate("b", NOW - 100, renamed=True)) == ["a"]


@pytest.mark.parametrize(
    "name",
    [".x", "x.tmp", "x.pt.part", "x.tmp.123", "tmp-checkpoint-5", "_temp_x", "x~", "x.lock", "a\nb", "x.PARTIAL"],
)
def test_names_that_programs_write_under_are_never_complete(name):
    assert is_half_written(name)
    assert names(Candidate(name, NOW - 1000, renamed=True)) == []


@pytest.mark.parametrize(
    "name", ["checkpoint-10", "epoch=1.ckpt", "model.pt", "template", "temperature.pt", "weights.v2"]
)
def test_names_of_checkpoints_are_not_taken_for_these(name):
    assert not is_half_written(name)


def _written_before(path: Path, text: str) -> Path:
    path.write_text(text)
    return _before(path)


def _before(path: Path) -> Path:
    """Let a file have been written a second ago, so that a rename is told from it by any file system's clock."""
    moment = time.time() - 1
    os.utime(path, (moment, moment))
    return path


class TestWorkspace:
    @pytest.fixture
    def run(self, tmp_path: Path) -> RunFolder:
        run = RunFolder(tmp_path)
        run.checkpoints.mkdir()
        run.training_log.parent.mkdir(parents=True)
        run.training_log.touch()
        return run

    def _newest(self, run: RunFolder) -> str | None:
        return newest_complete(run.checkpoints, run)

    def test_a_file_that_was_renamed_is_found_and_one_that_was_being_written_is_not(self, run):
        _written_before(run.checkpoints / "step-1.tmp", "1").rename(run.checkpoints / "step-1")
        (run.checkpoints / "step-2").write_text("2")
        assert self._newest(run) == "step-1"

    def test_a_folder_that_was_renamed_whole_is_found_and_one_that_is_filled_in_place_is_not(self, run):
        whole = run.checkpoints / "whole.tmp"
        whole.mkdir()
        _written_before(whole / "weights", "1")
        _before(whole).rename(run.checkpoints / "whole")
        filled = run.checkpoints / "filled"
        filled.mkdir()
        (filled / "weights").write_text("2")
        assert self._newest(run) == "whole"
        (filled / "DONE").touch()
        assert self._newest(run) == "filled"

    def test_what_was_written_in_place_counts_where_the_log_says_that_the_program_lived_on(self, run):
        (run.checkpoints / "model.pt").write_text("1")
        assert self._newest(run) is None
        later = time.time() + 31
        os.utime(run.training_log, (later, later))
        assert self._newest(run) == "model.pt"

    def test_links_lead_nowhere_and_an_empty_folder_is_no_checkpoint(self, run, tmp_path):
        (run.checkpoints / "latest").symlink_to("/etc")
        (run.checkpoints / "empty").mkdir()
        assert self._newest(run) is None
        assert newest_complete(tmp_path / "missing", run) is None


class TestManifest:
    @pytest.mark.parametrize("text", [MANIFEST, FFDL])
    def test_checkpoints_are_the_runs_own_unless_the_manifest_says_otherwise(self, text):
        assert read(text).submission.spec.checkpoint == Checkpointing(shared=False, resumes=True)
        spec = read(f"{text}\ncheckpoint: {{share: bucket, resume: never}}\n").submission.spec
        assert spec.checkpoint == Checkpointing(shared=True, resumes=False)
        assert TrainingSpec.from_dict(spec.as_dict()) == spec

    def test_copies_are_made_where_the_manifest_says_how_often(self):
        found = read(f"{MANIFEST}checkpoint: {{every: 10m}}\n").submission.spec.checkpoint
        assert (found.every_seconds, found.keep) == (600, 2)
        assert read(f"{MANIFEST}checkpoint: {{every: 1h, keep: 5}}\n").submission.spec.checkpoint.keep == 5

    def test_trainings_of_before_share_theirs_as_they_did(self):
        old = read(MANIFEST).submission.spec.as_dict()
        del old["checkpoint"]
        assert TrainingSpec.from_dict(old).checkpoint.shared

    @pytest.mark.parametrize(
        "value",
        [
            "{share: everybody}",
            "{resume: maybe}",
            "true",
            "{keeps: 2}",
            "{every: often}",
            "{every: 5s}",
            "{keep: 0}",
            "{share: bucket, every: 10m}",
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, value):
        assert problems(f"{MANIFEST}checkpoint: {value}\n")


class TestBucket:
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        bench = Bench(tmp_path)
        bench.spec = replace(SPEC, checkpoint=Checkpointing(every_seconds=600, keep=2))
        bench.stage()
        bench.train()
        return bench

    def _saved(self, bench: Bench, name: str, age: float = 0.0) -> None:
        path = _written_before(bench.checkpoints / f"{name}.tmp", name)
        path.rename(bench.checkpoints / name)
        moment = path.with_name(name).stat().st_mtime - age
        os.utime(path.with_name(name), (moment, moment))

    def _copy(self, bench: Bench) -> str:
        return copy_newest(RUN, bench.spec, bench.results, bench.workspace, 2, bench.reported.append)

    def _there(self, bench: Bench) -> list[str]:
        return sorted(key for key in bench.stored() if key.startswith("_wml_checkpoints/"))

    def test_the_newest_complete_one_is_copied_while_it_trains_and_the_oldest_copies_go(self, bench):
        assert self._copy(bench) == ""
        for number in range(1, 5):
            self._saved(bench, f"step-{number}", age=10 - number)
            (bench.checkpoints / "half.tmp").write_text("half")
            assert self._copy(bench) == f"step-{number}"
            assert self._copy(bench) == "", "it is there already"
        assert self._there(bench) == ["_wml_checkpoints/step-3", "_wml_checkpoints/step-4"]
        assert json.loads(bench.stored()["learner-1/resume.json"]) == {"checkpoint": "step-4"}

    def test_one_that_changes_while_it_is_copied_is_none_to_go_on_from(self, bench):
        self._saved(bench, "step-1")
        put = bench.results.put

        def changing(key, source, size):
            os.utime(bench.checkpoints / "step-1", (1, 1))
            return put(key, source, size)

        bench.results.put = changing
        assert self._copy(bench) == ""
        assert "learner-1/resume.json" not in bench.stored()

    def test_at_the_end_as_many_are_stored_as_are_to_be_kept_and_of_a_failure_complete_ones_alone(self, bench):
        for number in range(1, 4):
            self._saved(bench, f"step-{number}", age=10 - number)
        (bench.checkpoints / "torn").write_text("half")
        bench.upload(Outcome("C203", "it ran too long"))
        assert self._there(bench) == ["_wml_checkpoints/step-2", "_wml_checkpoints/step-3"]
        assert json.loads(bench.stored()["learner-1/resume.json"]) == {"checkpoint": "step-3"}

    def test_another_run_goes_on_from_what_a_run_has_stored(self, bench):
        (bench.checkpoints / "step-1").mkdir()
        (bench.checkpoints / "step-1" / "weights").write_text("w")
        (bench.checkpoints / "step-1" / "DONE").touch()
        bench.upload(Outcome("C203", "it ran too long"))
        again = RunKey(MODEL_ID, "training-again0000")
        bench.stage(again, resume_from=MODEL_ID)
        run = bench.workspace.run(again)
        assert (run.checkpoints / "step-1" / "weights").read_text() == "w"
        assert (run.checkpoints / "step-1" / "weights").stat().st_mode & 0o666 == 0o666
        assert resumed_from(run) == "step-1"

    @pytest.mark.parametrize(
        "note", [None, b"x" * 20_000, b"{}", b'{"checkpoint": "../../x"}', b'{"checkpoint": "gone"}']
    )
    def test_a_run_without_a_complete_checkpoint_is_none_to_go_on_from(self, bench, note):
        if note:
            bench.results.contents[f"{MODEL_ID}/learner-1/resume.json"] = note
        with pytest.raises(TrainyardError) as refusal:
            bench.stage(RunKey(MODEL_ID, "training-again0000"), resume_from=MODEL_ID)
        assert refusal.value.code.code in ("C108", "C114")
