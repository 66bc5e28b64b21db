"""Staging, storing and cleaning up a run, over stores in memory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from samples import MODEL_ID, RUN, SPEC
from stepsbench import ID, Bench

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError
from trainyard.steps.cleanup import cleanup, forget, forget_training
from trainyard.steps.stage import staged_path, staged_version
from trainyard.stores.base import StoreError, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.attempts import Attempts
from trainyard.workspace.datasets import DatasetCache

# A run of another training that was given the id of this one's, and a later run of this one.
THEIRS, LATER = RunKey("training-Xz81mQ0aB", MODEL_ID), RunKey(MODEL_ID, "training-again0000")
FAILED = Outcome("C201", "the program ended with exit code 3", "Look at its log.", exit_code=3)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class TestStage:
    def test_data_and_model_lie_where_a_pod_mounts_them(self, bench: Bench) -> None:
        staged = bench.stage()
        dataset = bench.workspace.root / staged.dataset_subpath
        assert (dataset / "train/a.csv").read_bytes() == b"1,2"
        assert (staged.files, staged.bytes, staged.hit) == (2, 5, False)
        assert (bench.run.model / "train.py").read_text() == "print('hello')"
        assert os.access(bench.run.model / "bin/run.sh", os.X_OK)
        assert not (bench.run.model / "train.py").stat().st_mode & 0o111

    def test_a_pod_of_another_user_can_write_its_folders_and_read_the_model(self, bench: Bench) -> None:
        before = os.umask(0o077)
        try:
            bench.stage()
        finally:
            os.umask(before)
        learner = bench.run.logs / "learner-1"
        for folder in (*bench.run.folders, bench.run.model / "bin", learner, bench.checkpoints):
            assert folder.stat().st_mode & 0o777 == 0o777, folder
        assert (bench.run.model / "train.py").stat().st_mode & 0o444 == 0o444
        assert (bench.run.model / "bin/run.sh").stat().st_mode & 0o555 == 0o555

    def test_a_bucket_that_changes_while_it_is_downloaded_is_listed_again(self, bench: Bench) -> None:
        def replaced(key: str) -> None:
            if bench.data.contents["labels"] == b"xy":
                bench.data.contents["labels"] = b"uvw"
                bench.data.contents["train/a.csv"] = b"3,4"

        bench.data.on_get = replaced
        staged = bench.stage()
        dataset = bench.workspace.root / staged.dataset_subpath
        assert ((dataset / "labels").read_bytes(), (dataset / "train/a.csv").read_bytes()) == (b"uvw", b"3,4")
        assert any("has changed since it was listed: it is listed again" in line for line in bench.reported)

    def test_a_bucket_that_never_holds_still_is_given_up(self, bench: Bench) -> None:
        def replaced(key: str) -> None:
            bench.data.contents[key] = os.urandom(2)

        bench.data.on_get = replaced
        with pytest.raises(StoreError) as caught:
            bench.stage()
        assert (caught.value.why, caught.value.code.code) == (Why.CHANGED, "S302")

    def test_what_was_loaded_is_written_to_two_logs(self, bench: Bench) -> None:
        bench.stage()
        data, model = (bench.run.logs / "learner-1" / name for name in ("load-data.log", "load-model.log"))
        assert data.read_text().startswith("2 files, 5 bytes of bucket memory at http://nowhere, version ")
        assert "5 bytes downloaded in " in data.read_text()
        assert model.read_text().startswith("2 files, 24 bytes of the model definition in ")

    def test_checkpoints_that_are_shared_come_from_the_bucket_where_missing(self, bench: Bench) -> None:
        bench.share_checkpoints()
        bench.results.contents = {"_wml_checkpoints/a/1": b"old", "_wml_checkpoints/a/2": b"two"}
        (bench.checkpoints / "a").mkdir(parents=True)
        (bench.checkpoints / "a/1").write_bytes(b"newer here")
        bench.stage()
        assert (bench.checkpoints / "a/1").read_bytes() == b"newer here"
        assert (bench.checkpoints / "a/2").read_bytes() == b"two"
        assert (bench.checkpoints / "a/2").stat().st_mode & 0o666 == 0o666

    def test_a_run_begins_without_the_checkpoints_of_a_stranger(self, bench: Bench) -> None:
        bench.results.contents = {"_wml_checkpoints/a/1": b"a stranger's"}
        bench.stage()
        assert list(bench.checkpoints.iterdir()) == []
        assert bench.checkpoints.parent == bench.run.root

    def test_a_second_attempt_moves_nothing_again(self, bench: Bench) -> None:
        bench.stage()
        (bench.run.model / "train.py").write_text("kept")
        assert bench.stage().hit
        assert (bench.run.model / "train.py").read_text() == "kept"

    def test_a_run_whose_program_has_started_keeps_its_files_and_its_dataset(self, bench: Bench) -> None:
        first = bench.stage()
        bench.train(**{"model/made-by-the-program": "x"})
        bench.data.contents["added"] = b"later"
        again = bench.stage()
        assert again == replace(first, hit=True)
        assert (bench.run.model / "made-by-the-program").exists()

    def test_the_dataset_is_held_until_cleanup(self, bench: Bench) -> None:
        bench.stage()
        cache = DatasetCache(bench.workspace)
        assert cache.evict(0) == []
        cleanup(RUN, bench.workspace)
        assert len(cache.evict(0)) == 1

    def test_the_version_that_a_run_was_staged_with_stays_beside_its_logs(self, bench: Bench) -> None:
        assert staged_version(bench.run) is None
        staged = bench.stage()
        cleanup(RUN, bench.workspace)
        assert staged_version(bench.run) == staged.dataset_subpath.rpartition("/")[2]

    def test_a_bad_zip_leaves_no_half_model(self, bench: Bench) -> None:
        bench.zip_path.write_bytes(b"no zip")
        with pytest.raises(TrainyardError) as caught:
            bench.stage()
        assert caught.value.code.code == "C102"
        assert not bench.run.model.exists()

    def test_a_run_that_repeats_another_one_exactly_has_its_data_or_none(self, bench: Bench) -> None:
        bench.stage()
        version = staged_version(bench.run)
        assert version
        bench.data.contents["labels"] = b"zz"
        again = RunKey(RUN.training_id, "training-again0000")
        bench.stage(again, data_version=version)
        assert staged_version(bench.workspace.run(again)) == version
        cleanup(RUN, bench.workspace)
        cleanup(again, bench.workspace)
        DatasetCache(bench.workspace).evict(0)
        with pytest.raises(TrainyardError, match=f"{version} is not kept any more") as refused:
            bench.stage(again, data_version=version)
        assert refused.value.code.code == "C117"
        assert DatasetCache(bench.workspace).held(str(again)) is None

    def test_what_runs_stored_in_the_same_bucket_is_not_staged(self, bench: Bench) -> None:
        bench.spec = replace(SPEC, results=SPEC.data)
        bench.data.contents |= {f"{ID}/model/weights": b"1", "_wml_checkpoints/step": b"2"}
        assert bench.stage().files == 2


class TestUpload:
    def test_everything_lies_where_the_2017_service_put_it(self, bench: Bench) -> None:
        bench.results.contents["_wml_checkpoints/before"] = b"0"
        bench.stage()
        (bench.checkpoints / "step-1").write_text("weights")
        metrics, board = "logs/learner-1/evaluation-metrics.txt", "state/logs/tb/train/events"
        bench.train(
            **{"result/model/weights": "w", metrics: "{}", "logs/extra.txt": "e", board: "tb", "state/x": "own"}
        )
        bench.upload()
        stored = bench.stored()
        loads = {key: stored.pop(key) for key in ("learner-1/load-data.log", "learner-1/load-model.log")}
        assert all(loads.values())
        assert stored.pop("_submitted_code/model.zip")
        assert stored == {
            "model/weights": "w",
            "learner-1/training-log.txt": "epoch 1\n",
            "learner-1/evaluation-metrics.txt": "{}",
            "learner-1/extra.txt": "e",
            "learner-1/outcome.txt": "completed\n",
            "logs/tb/train/events": "tb",
            "_wml_checkpoints/step-1": "weights",
        }
        assert "_wml_checkpoints/before" not in bench.results.sent

    def test_checkpoints_that_are_shared_go_to_the_root_of_the_bucket(self, bench: Bench) -> None:
        bench.share_checkpoints()
        bench.results.contents["_wml_checkpoints/before"] = b"0"
        bench.stage()
        bench.train()
        (bench.checkpoints / "step-1").write_text("weights")
        bench.upload()
        assert bench.results.contents["_wml_checkpoints/step-1"] == b"weights"
        assert "_wml_checkpoints/before" not in bench.results.sent
        assert cleanup(RUN, bench.workspace)
        assert (bench.checkpoints / "step-1").exists(), "the next run goes on from it"

    def test_checkpoints_of_a_run_go_with_it(self, bench: Bench) -> None:
        bench.stage()
        bench.train()
        (bench.checkpoints / "step-1").write_text("weights")
        bench.upload()
        assert cleanup(RUN, bench.workspace)
        assert not bench.checkpoints.exists()

    def test_a_failed_run_says_why_beside_its_own_log(self, bench: Bench) -> None:
        bench.stage()
        bench.train()
        bench.upload(FAILED)
        stored = bench.stored()
        assert stored["learner-1/training-log.txt"] == "epoch 1\n"
        reason = "error: the program ended with exit code 3 (C201)\nexit code 3\nLook at its log.\n"
        assert stored["learner-1/outcome.txt"] == reason

    def test_metrics_and_the_manifest_are_stored_and_the_values_told(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"logs/metrics.jsonl": '{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}'})
        told = bench.upload(manifest="name: tf-mnist\n")
        rows = [json.loads(line) for line in bench.stored()["metrics.jsonl"].splitlines()]
        assert [row["value"] for row in rows if "value" in row] == [2, 1]
        assert told.metrics == {"loss": {"last": 1, "minimum": 1, "maximum": 2}}
        assert bench.stored()["_submitted_code/manifest.yml"] == "name: tf-mnist\n"
        cleanup(RUN, bench.workspace)
        assert not bench.run.metrics_stored.exists()

    def test_metrics_that_cannot_be_kept_keep_nothing_from_being_stored(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"logs/metrics.jsonl": '{"loss": 2}\n', "result/weights": "w"})
        bench.run.metrics_stored.mkdir()
        assert bench.upload().metrics == {}
        assert bench.stored()["weights"] == "w"

    def test_a_run_that_never_started_has_a_log_that_says_why(self, bench: Bench) -> None:
        outcome = Outcome("C103", "bucket digits refused the credentials", "Check them.")
        bench.upload(outcome)
        text = bench.stored()["learner-1/training-log.txt"]
        assert text == (
            "The training program has not run.\nerror: bucket digits refused the credentials (C103)\nCheck them.\n"
        )
        assert bench.run.training_log.read_text() == text

    def test_a_second_attempt_sends_only_what_is_missing(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/a": "1", "result/b": "2"})
        bench.upload()
        del bench.results.contents[f"{ID}/b"]
        bench.results.sent.clear()
        bench.upload()
        assert bench.results.sent == [f"{ID}/b"]

    def test_links_and_pipes_are_not_followed_and_the_bucket_says_so(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets/key").write_text("secret")
        (tmp_path / "secrets/tb").mkdir()
        (tmp_path / "secrets/tb/key").write_text("secret")
        bench.stage()
        bench.train(**{"result/good": "1"})
        (bench.run.result / "file").symlink_to(tmp_path / "secrets/key")
        (bench.run.result / "folder").symlink_to(tmp_path / "secrets")
        (bench.run.state / "logs").symlink_to(tmp_path / "secrets")
        os.mkfifo(bench.run.result / "pipe")
        bench.upload()
        assert "secret" not in "".join(bench.stored().values())
        notes = bench.stored()["learner-1/store-results.log"].splitlines()
        assert notes == [
            "result/file is not stored: it is a link that leads out of the run's folders",
            "result/folder is not stored: it is a link that leads out of the run's folders",
            "result/pipe is not stored: it is a pipe, no file",
        ]

    def test_what_a_link_inside_leads_to_is_stored(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/hf/blobs/aa": "weights", "result/epoch=1.ckpt": "c", "state/tb/events": "e"})
        (bench.run.result / "hf/snapshots/1").mkdir(parents=True)
        (bench.run.result / "hf/snapshots/1/model.safetensors").symlink_to("../../blobs/aa")
        (bench.run.result / "last.ckpt").symlink_to("/job/result/epoch=1.ckpt")
        (bench.run.result / "summaries").symlink_to("../state/tb")
        checkpoints = bench.checkpoints
        (checkpoints / "step-1").write_text("s")
        (checkpoints / "last").symlink_to("/job/checkpoints/step-1")
        stored = bench.upload()
        found = bench.stored()
        assert found["hf/snapshots/1/model.safetensors"] == "weights"
        assert found["last.ckpt"] == "c"
        assert found["summaries/events"] == "e"
        assert found["_wml_checkpoints/last"] == "s"
        assert stored.left_out == ()
        assert "learner-1/store-results.log" not in found

    def test_a_checkpoint_below_what_has_become_a_link_does_not_keep_the_next_run_from_being_staged(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        bench.share_checkpoints()
        bench.results.contents["_wml_checkpoints/last/weights"] = b"old"
        checkpoints = bench.checkpoints
        checkpoints.mkdir(parents=True)
        (checkpoints / "last").symlink_to(tmp_path)
        bench.stage()
        assert not (tmp_path / "weights").exists()

    def test_a_name_that_stores_do_not_keep_is_stored_escaped_and_costs_no_other(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/confusion\tmatrix.csv": "1", "result/model.bin": "m"})
        checkpoints = bench.checkpoints
        (checkpoints / "a\nb").write_text("x")
        stored = bench.upload()
        assert bench.stored()["confusion%09matrix.csv"] == "1"
        assert bench.stored()["model.bin"] == "m"
        assert [each.name for each in stored.left_out] == ["_wml_checkpoints/a\\nb"]
        assert bench.stored()["learner-1/store-results.log"].splitlines() == [
            "_wml_checkpoints/a\\nb is not stored: it has characters that stores do not keep",
            "confusion\\tmatrix.csv is stored as confusion%09matrix.csv, since stores do not keep such characters",
        ]

    def test_a_name_that_the_store_refuses_costs_no_other_file(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/odd": "1", "result/model.bin": "m"})

        def refuse(key: str) -> None:
            if key.endswith("/odd"):
                raise refusal(Why.BAD_KEY, bench.results.place, "write to", key)

        bench.results.on_put = refuse
        stored = bench.upload()
        assert bench.stored()["model.bin"] == "m"
        assert [each.name for each in stored.left_out] == ["odd"]
        assert "odd is not stored" in bench.stored()["learner-1/store-results.log"]

    def test_a_log_folder_that_is_a_link_is_not_written_to(self, bench: Bench, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        bench.run.logs.mkdir(parents=True)
        (bench.run.logs / "learner-1").symlink_to(outside)
        bench.upload(FAILED)
        assert list(outside.iterdir()) == []
        assert bench.stored()["learner-1/training-log.txt"].startswith("The training program has not run.")

    def test_a_result_with_the_name_of_a_log_is_stored_under_another(self, bench: Bench) -> None:
        bench.stage()
        bench.train(
            **{"result/learner-1/training-log.txt": "mine", "result/logs/tb": "a file", "state/logs/tb/x": "tb"}
        )
        bench.upload()
        stored = bench.stored()
        assert stored["learner-1/training-log.txt"] == "epoch 1\n"
        assert stored["renamed/learner-1/training-log.txt"] == "mine"
        assert (stored["logs/tb"], stored["renamed/logs/tb/x"]) == ("a file", "tb")
        assert "learner-1/training-log.txt is stored as renamed/" in stored["learner-1/store-results.log"]

    @pytest.mark.parametrize(
        ("why", "code"), [(Why.BROKEN, "S303"), (Why.UNREACHABLE, "S303"), (Why.CREDENTIALS, "C103")]
    )
    def test_a_store_that_fails_names_what_could_not_be_stored(self, bench: Bench, why: Why, code: str) -> None:
        def fail(key: str) -> None:
            if "learner-1" not in key:
                raise refusal(why, bench.results.place, "write to", key)

        bench.stage()
        bench.train(**{"result/a": "1"})
        bench.results.on_put = fail
        with pytest.raises(TrainyardError) as caught:
            bench.upload()
        assert caught.value.code.code == code
        assert bench.stored()["learner-1/training-log.txt"] == "epoch 1\n"
        assert not bench.run.stored.exists()

    def test_logs_that_fail_do_not_keep_results_from_being_stored(self, bench: Bench) -> None:
        def fail(key: str) -> None:
            if "learner-1" in key:
                raise refusal(Why.UNREACHABLE, bench.results.place, "write to", key)

        bench.stage()
        bench.train(**{"result/a": "1"})
        bench.results.on_put = fail
        with pytest.raises(TrainyardError) as caught:
            bench.upload()
        assert caught.value.code.code == "S304"
        assert bench.stored()["a"] == "1"

    def test_results_that_did_not_all_arrive_are_incomplete(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/a": "1"})
        bench.results.hidden = {f"{ID}/a"}
        with pytest.raises(StoreError) as caught:
            bench.upload()
        assert caught.value.code.code == "S305"

    def test_names_that_no_key_can_have_are_told(self, bench: Bench) -> None:
        bench.stage()
        bench.train()
        (bench.run.result / os.fsdecode(b"not-utf-8-\xff")).write_text("x")
        bench.upload()
        assert "not-utf-8" in bench.stored()["learner-1/store-results.log"]


class TestMountedDataset:
    def test_a_run_mounts_the_version_that_it_holds(self, bench: Bench) -> None:
        staged = bench.stage()
        assert bench.workspace.subpath(staged_path(RUN, SPEC, bench.workspace)) == staged.dataset_subpath

    def test_a_run_that_was_not_staged_or_was_cleaned_up_mounts_nothing(self, bench: Bench) -> None:
        self._refused(bench)
        bench.stage()
        cleanup(RUN, bench.workspace)
        self._refused(bench)

    @pytest.mark.parametrize("key", [THEIRS, LATER])
    def test_what_another_run_holds_is_not_mounted(self, bench: Bench, key: RunKey) -> None:
        bench.stage(key)
        self._refused(bench)

    @pytest.mark.parametrize(
        "held",
        [
            ".",
            "..",
            "",
            "../runs",
            "../../outside",
            "other-0/1",
            "{own}",
            "{own}/..",
            "{own}/{version}/train",
            "{own}/none",
        ],
    )
    def test_a_hold_of_anything_but_a_version_of_the_trainings_own_bucket_is_refused(
        self, bench: Bench, held: str
    ) -> None:
        own, version = Path(bench.stage().dataset_subpath).parts[1:]
        for folder in ("datasets/other-0/1", "runs", "../outside"):
            (bench.workspace.root / folder).mkdir(parents=True, exist_ok=True)
        hold = bench.workspace.root / "datasets" / ".holds" / str(RUN)
        hold.write_text(held.format(own=own, version=version))
        self._refused(bench)

    def test_a_link_to_another_buckets_version_is_refused(self, bench: Bench) -> None:
        path = bench.workspace.root / bench.stage().dataset_subpath
        other = bench.workspace.root / "datasets" / "other-0" / "1"
        other.mkdir(parents=True)
        (path.parent / "link").symlink_to(other)
        (bench.workspace.root / "datasets" / ".holds" / str(RUN)).write_text(f"{path.parent.name}/link")
        self._refused(bench)

    def _refused(self, bench: Bench) -> None:
        with pytest.raises(TrainyardError) as refusal:
            staged_path(RUN, SPEC, bench.workspace)
        assert refusal.value.code.code == "S302"


class TestCleanup:
    def test_model_and_results_go_and_logs_stay(self, bench: Bench) -> None:
        bench.stage()
        Attempts(bench.run, round=7, most=3).note(1)
        bench.train(**{"result/a": "1"})
        bench.upload()
        assert cleanup(RUN, bench.workspace)
        assert cleanup(RUN, bench.workspace)
        assert not bench.run.model.exists()
        assert not bench.run.result.exists()
        assert not bench.run.attempts.exists()
        assert bench.run.training_log.read_text() == "epoch 1\n"
        assert bench.run.started.exists()

    def test_what_a_step_that_was_killed_has_told_of_its_transfer_goes(self, bench: Bench) -> None:
        bench.stage()
        bench.run.transfer.write_text("{}")
        cleanup(RUN, bench.workspace)
        assert not bench.run.transfer.exists()

    def test_results_that_are_not_in_the_bucket_stay_until_the_run_is_forgotten(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/a": "1"})
        assert not cleanup(RUN, bench.workspace)
        assert (bench.run.result / "a").exists()
        assert not bench.run.model.exists()
        forget(RUN, bench.workspace)
        forget(RUN, bench.workspace)
        assert not bench.run.root.exists()

    def test_a_program_whose_log_alone_is_not_in_the_bucket_is_not_all_stored(self, bench: Bench) -> None:
        bench.stage()
        bench.train()
        assert not cleanup(RUN, bench.workspace)

    def test_links_are_removed_and_not_followed(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/precious").write_text("x")
        bench.stage()
        (bench.run.model / "link").symlink_to(tmp_path / "outside")
        bench.run.result.rmdir()
        bench.run.result.symlink_to(tmp_path / "outside")
        assert cleanup(RUN, bench.workspace)
        forget(RUN, bench.workspace)
        assert (tmp_path / "outside/precious").exists()
        assert not bench.run.root.exists()

    def test_folders_nested_without_end_are_removed_and_told(self, bench: Bench) -> None:
        bench.stage()
        bench.train(**{"result/good": "1"})
        here = os.open(bench.run.result, os.O_RDONLY)
        for _ in range(1200):
            os.mkdir("deep-folder", dir_fd=here)
            inner = os.open("deep-folder", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(here)
        bench.upload()
        assert "lies too deep" in bench.stored()["learner-1/store-results.log"]
        assert cleanup(RUN, bench.workspace)
        assert not bench.run.result.exists()

    @pytest.mark.parametrize("run_id", ["../datasets", "..", ".", "a/b", "", "manual__2026", f"{MODEL_ID}\n"])
    def test_a_run_id_that_the_service_did_not_make_is_refused(self, bench: Bench, run_id: str) -> None:
        bench.stage()
        for action in (cleanup, forget):
            for key in (RunKey(MODEL_ID, run_id), RunKey(run_id, MODEL_ID)):
                with pytest.raises(TrainyardError) as refusal:
                    action(key, bench.workspace)
                assert refusal.value.code.code == "C110"
        assert bench.run.model.exists()

    def test_a_run_of_another_training_with_the_same_id_keeps_its_folder_and_its_dataset(self, bench: Bench) -> None:
        bench.stage()
        bench.stage(THEIRS)
        cleanup(RUN, bench.workspace)
        assert DatasetCache(bench.workspace).held(str(THEIRS)) is not None
        assert bench.workspace.run(THEIRS).model.exists()
        forget(RUN, bench.workspace)
        assert list(bench.workspace.runs()) == [THEIRS]
        assert DatasetCache(bench.workspace).held(str(THEIRS)) is not None

    def test_the_last_run_that_is_forgotten_takes_the_folder_of_its_training_along(self, bench: Bench) -> None:
        bench.stage()
        bench.stage(LATER)
        forget(RUN, bench.workspace)
        assert list(bench.workspace.runs()) == [LATER]
        forget(LATER, bench.workspace)
        assert not bench.workspace.training(MODEL_ID).exists()

    def test_a_training_is_forgotten_with_all_that_lies_in_its_folder(self, bench: Bench) -> None:
        """A run folder of the layout before this one has its files right there."""
        for key in (RUN, LATER, THEIRS):
            bench.stage(key)
        old = bench.workspace.training(MODEL_ID) / "logs" / "learner-1"
        old.mkdir(parents=True)
        for _ in range(2):
            forget_training(MODEL_ID, bench.workspace)
        assert list(bench.workspace.trainings()) == [THEIRS.training_id]
