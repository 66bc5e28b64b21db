"""`trainyard metrics`, and what list, show and the Python API have of metrics."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime

import httpx
import pytest
from cli_front_door import Answer

from trainyard.answers.metrics import MetricsAnswer
from trainyard.cli.columns import cells, spoken_seconds
from trainyard.cli.metrictext import metric_table, sparkline
from trainyard.cli.runrows import progress_text
from trainyard.cli.runtable import differing, fitted_table, run_columns, sorted_runs
from trainyard.client.access import Access
from trainyard.client.rest import RestClient
from trainyard.client.run import Run

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
_CURVE = {
    "name": "val/acc",
    "source": "jsonl",
    "count": 3,
    "points": [[1, None, 0.1], [2, 5.5, 0.9], [3, None, 0.5]],
    "last": [3, None, 0.5],
    "minimum": [1, None, 0.1],
    "maximum": [2, 5.5, 0.9],
    "not_finite": 1,
}
_PROGRESS = {"step": 3, "total": 12, "fraction": 0.25, "seconds_left": 90.0}
_ANSWER = {
    "model_id": ID,
    "curves": [_CURVE],
    "progress": _PROGRESS,
    "warnings": ["something odd"],
    "cursor": "a.3",
    "complete": False,
    "whole": True,
}


@pytest.fixture
def answered(front_door):
    front_door.forced.append(("GET", f"/v3/models/{ID}/metrics", Answer(200, _ANSWER)))
    return front_door


class TestCommand:
    def test_the_table_has_last_and_extreme_values_and_a_small_curve(self, cli, answered):
        done = cli("metrics", ID)
        header, row, *rest = done.out.splitlines()
        assert header.split() == ["Metric", "last", "lowest", "at", "step", "highest", "at", "step", "points", "curve"]
        assert row.split()[:6] == ["val/acc", "0.5", "0.1", "1", "0.9", "2"]
        assert "3 +1 NaN or infinite" in row
        assert rest == ["", "Progress: step 3 of 12, 25 %, about 1m left"]
        assert (done.code, "something odd" in done.err) == (0, True)

    def test_json_is_the_services_answer(self, cli, answered):
        assert cli("metrics", ID, "-o", "json", "--points", "7").data == _ANSWER
        assert answered.paths("GET")[-1].endswith("?points=7")

    def test_csv_has_a_row_for_each_point(self, cli, answered):
        rows = list(csv.reader(io.StringIO(cli("metrics", ID, "-o", "csv").out)))
        assert rows[:2] == [["metric", "source", "step", "time", "value"], ["val/acc", "jsonl", "1.0", "", "0.1"]]
        assert len(rows) == 4

    @pytest.mark.parametrize("words", [["-o", "xml"], ["--points", "0"], ["--points", "10001"], ["--points", "many"]])
    def test_what_cannot_be_asked_for_is_wrong_usage(self, cli, front_door, words):
        assert cli("metrics", ID, *words).code == 2
        assert front_door.asked == []

    def test_a_run_without_metrics_says_so(self):
        answer = MetricsAnswer(model_id=ID, complete=True)
        assert metric_table(answer) == ["The run has reported no metrics."]

    def test_a_name_cannot_steer_the_terminal(self):
        name = "\x1b]0;owned\x07\u202egnp\nloss"
        answer = MetricsAnswer.model_validate({**_ANSWER, "curves": [{**_CURVE, "name": name}]})
        (_, row, *_) = metric_table(answer)
        assert "\\x1b]0;owned\\x07\\u202egnp\\nloss" in row
        assert row.isprintable()


class TestSparkline:
    def test_bars_rise_with_the_values(self):
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"

    def test_peaks_survive(self):
        assert "█" in sparkline([0.0] * 500 + [1.0] + [0.0] * 500, 10)

    @pytest.mark.parametrize("values", [[1.0], [1.0] * 100, [-1.7e308, 1.7e308], [5e-324, 0.0]])
    def test_values_of_any_size_are_drawn(self, values):
        assert len(sparkline(values, 24)) == min(24, len(values))

    def test_a_terminal_without_such_signs_gets_plain_ones(self, monkeypatch):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        assert sparkline([0, 1], 2).isascii()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (3 * 3600 + 300, "3h05m"), (90_000, "1d01h"), (-5, "0s")],
)
def test_lengths_of_time_are_said_in_two_units(seconds, text):
    assert spoken_seconds(seconds) == text


def test_progress_without_a_total_is_the_step():
    answer = MetricsAnswer.model_validate({**_ANSWER, "progress": {"step": 7}})
    assert progress_text(answer.progress) == "step 7"


def _run(number, **changes):
    return {
        "model_id": f"training-00000000{number}",
        "name": "digits",
        "state": "completed",
        "owner": "ada",
        "gpus": 1,
        "account": "vision",
        "experiment": "",
        "submitted_at": f"2026-01-01T00:00:0{number}Z",
        "running_at": "2026-01-01T00:00:00Z",
        "finished_at": f"2026-01-01T00:0{number}:00Z",
        "hyperparameters": {"lr": number / 10, "batch": 64},
        "metrics": {"loss": 9.0 - number},
        **changes,
    }


_NOW = datetime(2026, 1, 2, tzinfo=UTC)


class TestList:
    RUNS = (_run(1), _run(2), _run(3))

    def test_what_tells_the_runs_apart_has_a_column_and_what_is_empty_has_none(self):
        titles = [column.title for column in run_columns(self.RUNS, None, _NOW)]
        assert titles == ["Name", "guid", "status", "owner", "lr", "loss", "duration", "GPUs", "account", "age"]
        assert differing(self.RUNS) == ["lr"]

    def test_the_newest_is_first_and_columns_sort(self):
        def ids(by):
            return [run["model_id"][-1] for run in sorted_runs([*self.RUNS, _run(4, metrics={})], by, _NOW)]

        assert ids(None) == ["4", "3", "2", "1"]
        assert ids("loss") == ["3", "2", "1", "4"]
        assert ids("-lr") == ["4", "3", "2", "1"]
        assert ids("duration") == ["1", "2", "3", "4"]

    def test_rows_fit_the_terminal(self):
        runs = [_run(1, name="a name that is rather long for a column"), _run(2, name="手書き文字の認識" * 4)]
        shown = run_columns(runs, None, _NOW)
        for width in range(20, 160, 7):
            lines = fitted_table(runs, shown, str, width)
            assert max(cells(line) for line in lines) <= max(width, 40)
        assert cells(fitted_table(runs, shown, str, None)[1]) > 100

    def test_a_run_is_listed_with_all_that_is_known_of_it(self, cli, front_door):
        front_door.add(ID, owner="ada", hyperparameters={"lr": 0.1}, metrics={"loss": 0.5})
        front_door.add("training-other0001", owner="ada", hyperparameters={"lr": 0.2}, metrics={"loss": 0.25})
        lines = cli("list", "--sort", "loss").out.splitlines()
        assert lines[1].split()[:6] == ["Name", "guid", "status", "owner", "lr", "loss"]
        assert [line.split()[1] for line in lines[2:4]] == ["training-other0001", ID]
        assert cli("list", "--columns", "id,loss,lr").out.splitlines()[1].split() == ["guid", "loss", "lr"]

    def test_a_column_that_there_is_not_is_wrong_usage(self, cli, front_door):
        front_door.add(ID)
        done = cli("list", "--columns", "mood")
        assert (done.code, "there is no column 'mood'" in done.err) == (2, True)
        assert cli("list", "--sort", "mood").code == 2

    def test_show_says_whose_it_is_what_it_is_made_of_and_how_far(self, cli, front_door):
        made = {"owner": "ada", "experiment": "rates", "image": "i:1", "data_version": "v1", "zip_sha256": "ab"}
        told = {"hyperparameters": {"lr": 0.1}, "metrics": {"loss": 0.5}, "progress": _PROGRESS}
        front_door.add(ID, state="running", phase="training", **made, **told)
        lines = cli("show", ID).out.splitlines()
        rows = dict(line.split(maxsplit=1) for line in lines[1 : lines.index("OK")])
        assert [rows[label] for label in ("Owner", "Experiment", "Image", "Data_version", "Zip_sha256")] == list(
            made.values()
        )
        assert rows["Parameters"] == "lr=0.1"
        assert rows["Metrics"] == "loss=0.5"
        assert rows["Progress"] == "step 3 of 12, 25 %, about 1m left"

    def test_show_says_which_commit_it_was_packed_from(self, cli, front_door):
        front_door.add(ID, code={"commit": "ab12", "branch": "main", "changed": 2, "dirty": True, "diff": "-a"})
        assert any(" ".join(line.split()) == "Commit ab12 (main), 2 files changed since" for line in _lines(cli))
        front_door.add(ID, code={"commit": "ab12", "branch": "", "changed": 0, "dirty": False, "diff": ""})
        assert any(line.split() == ["Commit", "ab12"] for line in _lines(cli))


def _lines(cli):
    return cli("show", ID).out.splitlines()


def _service(answer):
    return RestClient(Access("http://front.door", token="t"), transport=httpx.MockTransport(answer))


class TestPython:
    def test_points_are_rows(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        rows = Run(_service(lambda request: httpx.Response(200, json=_ANSWER)), ID).metrics()
        assert rows[1] == {"metric": "val/acc", "source": "jsonl", "step": 2, "time": 5.5, "value": 0.9}

    def test_they_are_a_frame_where_pandas_is(self, monkeypatch):
        class Pandas:
            @staticmethod
            def DataFrame(rows, columns):  # noqa: N802 - pandas' own name
                return ("frame", len(rows), columns)

        monkeypatch.setitem(sys.modules, "pandas", Pandas)
        found = Run(_service(lambda request: httpx.Response(200, json=_ANSWER)), ID).metrics()
        assert found == ("frame", 3, ["metric", "source", "step", "time", "value"])

    def test_a_stream_that_breaks_is_opened_again_where_it_was(self):
        from trainyard.client.following import followed_metrics

        asked = []

        def answer(request):
            asked.append(request.url.params.get("since"))
            end = "event: end\ndata: {}\n\n" if len(asked) == 2 else ""
            text = f"event: metrics\ndata: {json.dumps({**_ANSWER, 'cursor': f'a.{len(asked)}'})}\n\n: nothing\n\n{end}"
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

        assert [found.cursor for found in followed_metrics(_service(answer), ID)] == ["a.1", "a.2"]
        assert asked == [None, "a.1"]
