"""What is read of a run's metrics: every source, on from where it ended, whatever the program does to its files."""

from __future__ import annotations

import json
import os
import socket
import struct

import pytest
from metricfiles import Program, curve, values
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from trainyard.domain.metricrules import rules_of
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics.state import load


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path / "run")


def _evaluation(step, **metrics):
    return {
        "meta": {"training_id": "t", "time": 1_700_000_000_000 + step, "rindex": step, "subid": "learner-1"},
        "grouplabel": "test",
        "etimes": {"iteration": {"type": 2, "value": str(step)}, "time_stamp": {"type": 4, "value": "x"}},
        "values": {name: {"type": 3, "value": str(value)} for name, value in metrics.items()},
    }


class TestJsonLines:
    def test_each_number_of_a_line_is_a_metric(self, program):
        program.log({"step": 1, "loss": 0.5, "val/acc": 0.7, "note": "x", "ok": True}, {"step": 2, "loss": 0.25})
        state = program.read()
        assert values(state, "loss", "jsonl") == [(1, 0.5), (2, 0.25)]
        assert values(state, "val/acc") == [(1, 0.7)]
        assert state.summary()["loss"] == {"last": 0.25, "minimum": 0.25, "maximum": 0.5}

    def test_lines_without_a_step_are_counted(self, program):
        program.log({"loss": 3}, {"loss": 2})
        assert values(program.read(), "loss") == [(1, 3), (2, 2)]

    def test_maps_within_are_named_with_a_slash(self, program):
        program.log({"step": 1, "train": {"loss": 1.0}})
        assert values(program.read(), "train/loss") == [(1, 1.0)]

    def test_times_in_seconds_and_milliseconds_are_kept(self, program):
        program.log(
            {"step": 1, "time": 1_700_000_000.5, "loss": 1}, {"step": 2, "timestamp": 1_700_000_001_000, "loss": 1}
        )
        assert [row.time for row in curve(program.read(), "loss").rows()] == [1_700_000_000.5, 1_700_000_001.0]

    def test_a_line_that_is_being_written_is_read_once_it_is_whole(self, program):
        program.write("logs/metrics.jsonl", '{"step": 1, "loss": 1}\n{"step": 2, "lo')
        assert values(program.read(), "loss") == [(1, 1)]
        program.write("logs/metrics.jsonl", 'ss": 2}\n')
        assert values(program.read(), "loss") == [(1, 1), (2, 2)]

    def test_the_time_is_kept_to_in_a_line_of_gigabytes(self, program):
        with (program.run.logs / "metrics.jsonl").open("wb") as file:
            file.truncate(20 * 2**30)  # it takes no room
        clock = iter(range(100_000))
        state = program.read(seconds=3, monotonic=lambda: next(clock))
        assert 0 < state.places["logs/metrics.jsonl"].at < 2**30

    def test_a_last_line_without_an_end_counts_once_the_program_is_done(self, program):
        program.write("logs/metrics.jsonl", '{"step": 1, "loss": 1}')
        assert not program.read().curves.by_key
        assert values(program.read(whole=True), "loss") == [(1, 1)]

    def test_what_is_no_line_of_metrics_is_counted_and_passed_over(self, program):
        odd = b'[1]\nhello\n{"a": \xff}\n' + b"[" * 100_000 + b"\n" + b'{"loss": 1' + b"0" * 70_000 + b"}\n"
        program.write("logs/metrics.jsonl", odd)
        program.log({"loss": 2})
        state = program.read()
        assert values(state, "loss") == [(1, 2)]
        assert state.remarks() == ["5 lines or records of logs/metrics.jsonl could not be read"]

    def test_nan_and_infinities_are_counted(self, program):
        program.write(
            "logs/metrics.jsonl", '{"step": 1, "loss": NaN}\n{"step": 2, "loss": Infinity}\n{"step": 3, "loss": 1}\n'
        )
        found = curve(program.read(), "loss")
        assert (found.count, found.not_finite) == (1, 2)

    def test_a_number_of_any_size_harms_nothing(self, program):
        program.write("logs/metrics.jsonl", '{"loss": 1' + "0" * 400 + '}\n{"step": 1e400, "loss": 1}\n')
        found = curve(program.read(), "loss")
        assert (found.count, found.not_finite) == (1, 1)

    def test_steps_may_go_back(self, program):
        program.log(*({"step": step, "loss": step} for step in (1, 2, 3, 2, 3)))
        state = program.read()
        assert [step for step, _ in values(state, "loss")] == [1, 2, 3, 2, 3]
        assert state.progress.step == 3

    def test_a_file_that_is_cut_is_read_anew(self, program):
        program.log({"step": 1, "loss": 1}, {"step": 2, "loss": 2})
        program.read()
        program.write("logs/metrics.jsonl", '{"step": 1, "loss": 9}\n', mode="wb")
        assert values(program.read(), "loss") == [(1, 1), (2, 2), (1, 9)]

    def test_a_file_that_is_replaced_by_a_longer_one_is_read_anew(self, program):
        program.log({"step": 1, "loss": 1})
        program.read()
        other = program.write("logs/other", '{"step": 5, "loss": 5}\n{"step": 6, "loss": 6}\n')
        other.replace(program.run.logs / "metrics.jsonl")
        assert values(program.read(), "loss") == [(1, 1), (5, 5), (6, 6)]

    def test_one_that_was_written_anew_in_its_place_is_read_anew(self, program):
        program.log({"step": 1, "loss": 1})
        program.read()
        program.write("logs/metrics.jsonl", '{"step": 7, "loss": 7}\n{"step": 8, "loss": 8}\n', mode="r+b")
        assert values(program.read(), "loss") == [(1, 1), (7, 7), (8, 8)]

    def test_a_reading_whose_time_is_up_goes_on_the_next_time(self, program):
        program.log(*({"step": step, "loss": step} for step in range(1000)))
        clock = iter(range(10_000))
        assert 0 < curve(program.read(seconds=2, monotonic=lambda: next(clock)), "loss").count < 1000
        assert [step for step, _ in values(program.read(), "loss")] == list(range(1000))


class TestEvaluationMetrics:
    @pytest.mark.parametrize("place", ["logs/evaluation-metrics.txt", "logs/learner-1/evaluation-metrics.txt"])
    def test_lines_of_both_places_are_read(self, program, place):
        program.log(_evaluation(10, accuracy=0.9), name=place)
        state = program.read()
        assert values(state, "test/accuracy", "evaluation-metrics") == [(10, 0.9)]
        assert curve(state, "test/accuracy").last.time == 1_700_000_000.01

    def test_the_file_that_the_manifest_names_is_read(self, tmp_path):
        program = Program(tmp_path / "run", rules_of({"type": "emetrics_file", "in": "$RESULT_DIR/em.txt"}, {}))
        program.log(_evaluation(1, loss=2), name="result/em.txt")
        assert values(program.read(), "test/loss") == [(1, 2)]


class TestSummaries:
    @pytest.mark.parametrize("place", ["state/logs/tb", "logs/tb"])
    def test_scalars_of_a_real_writer_are_read_by_group(self, program, place):
        with SummaryWriter(str(program.run.root / place / "train")) as writer:
            for step in range(3):
                writer.add_scalar("loss", 1 / (step + 1), step, walltime=1_700_000_000 + step)
        found = curve(program.read(), "train/loss", "tensorboard")
        assert [(row.step, row.time, round(row.value, 4)) for row in found.rows()] == [
            (0, 1_700_000_000, 1.0),
            (1, 1_700_000_001, 0.5),
            (2, 1_700_000_002, 0.3333),
        ]

    def test_what_is_written_later_is_read_on(self, program):
        (program.run.state / "logs/tb").mkdir(parents=True)
        writer = RecordWriter(str(program.run.state / "logs/tb/events.out.tfevents.1"))
        for step in (1, 2):
            value = Summary.Value(tag="loss", simple_value=step)
            writer.write(Event(step=step, summary=Summary(value=[value])).SerializeToString())
            writer.flush()
            assert values(program.read(), "loss")[-1] == (step, step)
        writer.close()
        assert values(program.read(), "loss") == [(1, 1), (2, 2)]

    def test_scalars_of_tensorflow_2_are_read(self, program):
        folder = program.run.logs / "tb"
        folder.mkdir()
        writer = RecordWriter(str(folder / "events.out.tfevents.1"))
        for step, tensor in enumerate(
            [
                {"dtype": 1, "float_val": [0.5]},
                {"dtype": 1, "tensor_content": struct.pack("<f", 0.25)},
                {"dtype": 2, "double_val": [2.0]},
            ]
        ):
            value = Summary.Value(tag="loss", tensor=tensor, metadata={"plugin_data": {"plugin_name": "scalars"}})
            writer.write(Event(step=step, wall_time=1.0, summary=Summary(value=[value])).SerializeToString())
        writer.close()
        assert values(program.read(), "loss") == [(0, 0.5), (1, 0.25), (2, 2.0)]

    def test_pictures_are_passed_over(self, program):
        folder = program.run.logs / "tb"
        folder.mkdir()
        writer = RecordWriter(str(folder / "events.out.tfevents.1"))
        picture = Summary.Value(tag="p", image=Summary.Image(encoded_image_string=b"x" * 2_000_000))
        for value in (picture, Summary.Value(tag="loss", simple_value=1.0)):
            writer.write(Event(step=1, summary=Summary(value=[value])).SerializeToString())
        writer.close()
        assert values(program.read(), "loss") == [(1, 1.0)]

    def test_of_a_record_with_any_number_of_values_some_are_read(self, program):
        folder = program.run.logs / "tb"
        folder.mkdir()
        writer = RecordWriter(str(folder / "events.out.tfevents.1"))
        many = [Summary.Value(tag="a", simple_value=1.0)] * 5000
        writer.write(Event(step=1, summary=Summary(value=many)).SerializeToString())
        writer.close()
        assert program.read().curves.seen == 1000

    def test_a_torn_record_is_waited_for_and_a_damaged_file_given_up(self, program):
        folder = program.run.logs / "tb"
        with SummaryWriter(str(folder)) as writer:
            writer.add_scalar("loss", 1, 1)
        path = next(folder.iterdir())
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        assert not program.read().curves.by_key
        path.write_bytes(whole + b"\0" * 100)
        state = program.read()
        assert values(state, "loss") == [(1, 1)]
        assert program.read().remarks() == [f"1 lines or records of logs/tb/{path.name} could not be read"]


class TestWholeFiles:
    def test_entries_of_val_dict_list_are_read_once(self, program):
        entries = [{"steps": 1, "accuracy": 0.6}]
        program.write("result/val_dict_list.json", json.dumps(entries), "wb")
        assert values(program.read(), "accuracy", "val-dict-list") == [(1, 0.6)]
        program.write("result/val_dict_list.json", json.dumps([*entries, {"steps": 2, "accuracy": 0.7}]), "wb")
        assert values(program.read(), "accuracy") == [(1, 0.6), (2, 0.7)]

    def test_a_trainers_state_tells_values_and_progress(self, program):
        history = [{"loss": 2.0, "epoch": 0.5, "step": 5}, {"eval_loss": 1.5, "step": 10}]
        state = {"global_step": 10, "log_history": history, "max_steps": 40}
        program.write("result/out/checkpoint-10/trainer_state.json", json.dumps(state, indent=2))
        found = program.read()
        assert values(found, "loss", "trainer-state") == [(5, 2.0)]
        assert values(found, "eval_loss") == [(10, 1.5)]
        assert found.progress.answer(None, None)["fraction"] == 0.25
        state = {**state, "log_history": [*history, {"loss": 1.0, "step": 15}], "global_step": 15}
        later = program.write("result/out/checkpoint-15/trainer_state.json", json.dumps(state))
        os.utime(later, (2e9, 2e9))
        assert values(program.read(), "loss") == [(5, 2.0), (15, 1.0)]

    @pytest.mark.parametrize("text", ["", "{", '[{"steps": 1, "a": 1}, {"st', '{"log_history": 3}', "[" * 50_000])
    def test_one_that_is_torn_harms_nothing(self, program, text):
        program.write("result/val_dict_list.json", text)
        program.write("result/trainer_state.json", text)
        program.log({"loss": 1})
        assert values(program.read(), "loss") == [(1, 1)]

    def test_one_that_is_too_large_is_said(self, program):
        program.write("result/val_dict_list.json", b"[" + b" " * 5_000_000 + b"]")
        assert "result/val_dict_list.json is larger" in program.read().remarks()[0]


class TestLog:
    def test_patterns_of_the_manifest_are_looked_for_in_each_line(self, tmp_path):
        patterns = {"loss": r"loss: ([0-9.]+)", "acc": r"step (?P<step>\d+).*acc (?P<value>[\d.]+)"}
        program = Program(tmp_path / "run", rules_of({}, patterns))
        program.write("logs/learner-1/training-log.txt", "loss: 0.5\nstep 7 acc 0.9\rloss: 0.25\rloss: 0.12")
        state = program.read()
        assert values(state, "loss", "log") == [(1, 0.5), (2, 0.25)]
        assert values(state, "acc", "log") == [(7, 0.9)]
        program.write("logs/learner-1/training-log.txt", "5\n")
        assert values(program.read(), "loss")[-1] == (3, 0.125)

    def test_groups_of_ffdl_are_read_over_several_lines_with_its_macros(self, tmp_path):
        group = {
            "regex": r"%{GLOG_STAMP:stamp}.*Iteration %{INT:iteration}, Testing.*\n.*accuracy = %{FLOAT:acc}",
            "scalars": {"accuracy": {"type": "FLOAT", "value": "$acc"}},
            "etimes": {"iteration": {"type": "INT", "value": "$iteration"}},
        }
        rules = rules_of({"type": "regex_extractor", "line_lookahead": 4, "groups": {"test": group}}, {})
        program = Program(tmp_path / "run", rules)
        line = "I0623 12:34:56.123 solver.cpp:330] "
        program.write("logs/learner-1/training-log.txt", f"noise\n{line}Iteration 100, Testing net\n")
        assert not program.read().curves.by_key
        program.write("logs/learner-1/training-log.txt", f"{line}  Test net output #0: accuracy = 9.5e-1\nnoise\n")
        assert values(program.read(), "test/accuracy", "log") == [(100, 0.95)]

    def test_a_pattern_that_would_run_for_ever_does_not(self, tmp_path):
        program = Program(tmp_path / "run", rules_of({}, {"x": "(a|a)*(a+)+$ (x)"}))
        program.write("logs/learner-1/training-log.txt", ("a" * 60_000 + "!\n") * 20 + "loss\n")
        program.log({"loss": 1})
        assert values(program.read(seconds=30), "loss") == [(1, 1)]


class TestHostileFiles:
    def test_links_pipes_sockets_and_folders_in_the_place_of_files_are_passed_over(
        self, program, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(program.run.result)  # a socket's path is short
        secret = tmp_path / "secret"
        secret.write_text('{"secret": 1}\n')
        (program.run.logs / "metrics.jsonl").symlink_to(secret)
        os.mkfifo(program.run.logs / "evaluation-metrics.txt")
        (program.run.state / "logs").symlink_to(tmp_path)
        (program.run.logs / "tb").mkdir()
        os.mkfifo(program.run.logs / "tb/events.out.tfevents.1")
        (program.run.result / "val_dict_list.json").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("trainer_state.json")
            program.log({"loss": 1}, name="logs/learner-1/metrics.jsonl")
            assert sorted(program.read(whole=True).curves.by_key) == [("jsonl", "loss")]

    def test_a_place_outside_of_the_run_is_never_read(self, tmp_path):
        for place in ("$LOG_DIR/../../secret", "/etc/passwd", "../x"):
            rules = rules_of({"type": "emetrics_file", "in": place}, {})
            assert rules.line_files == ()
            assert "is not read" in rules.warnings[0]

    def test_a_folder_of_many_files_is_looked_at_in_part(self, program):
        folder = program.run.logs / "many"
        folder.mkdir()
        for number in range(3000):
            (folder / f"{number}.tfevents").touch()
        program.log({"loss": 1})
        assert values(program.read(), "loss") == [(1, 1)]

    def test_what_was_kept_and_is_broken_is_read_again(self, program):
        program.log({"step": 1, "loss": 1})
        before = program.read().generation
        program.run.metrics.write_bytes(b'{"format": 1}\n')
        assert load(program.run) is None
        state = program.read()
        assert values(state, "loss") == [(1, 1)]
        assert state.generation != before

    def test_a_run_without_metrics_has_none(self, tmp_path):
        assert load(RunFolder(tmp_path)) is None


def test_the_metrics_of_another_learner_are_read_from_its_own_files_and_results_that_all_share(program):
    rules = rules_of({"learner": 2}, {"loss": "loss ([0-9.]+)"})
    for own, value in (("", 1), ("learners/2/", 2)):
        program.write(f"{own}logs/metrics.jsonl", f'{{"step": 1, "acc": {value}}}\n')
        line = json.dumps(_evaluation(1, recall=value))
        program.write(f"{own}logs/learner-2/evaluation-metrics.txt", f"{line}\n")
        program.write(f"{own}logs/learner-{value}/training-log.txt", f"loss {value}\n")
        with SummaryWriter(str(program.run.root / f"{own}state/logs/tb/train")) as writer:
            writer.add_scalar("lr", value, 1)
    program.write("result/val_dict_list.json", '[{"steps": 1, "top5": 5}]')
    program.rules = rules
    state = program.read()
    found = {name: values(state, name)[0][1] for name in ("acc", "test/recall", "loss", "train/lr", "top5")}
    assert found == {"acc": 2, "test/recall": 2, "loss": 2, "train/lr": 2, "top5": 5}
