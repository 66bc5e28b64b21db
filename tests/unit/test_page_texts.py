"""What pages are made of: everything escaped, nothing hidden, amounts and spans in words, assets by their content."""

from __future__ import annotations

import hashlib
import re
import time
import zipfile
from pathlib import Path

import pytest
from samples import MODEL_ID

from trainyard.api.assets import Assets
from trainyard.core.codediff import differences
from trainyard.core.runs import Run, StepRun
from trainyard.domain.outcome import Outcome
from trainyard.domain.shown import log_text
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.web.parallel import axes_of, lines_of
from trainyard.web.phases import phases_of
from trainyard.web.previews import preview_of
from trainyard.web.visible import visible
from trainyard.web.words import ago, amount, bytes_text, duration, number, sentence

_WEB = Path(__file__).resolve().parents[2] / "include" / "trainyard" / "web"


class TestVisible:
    @pytest.mark.parametrize(
        "hidden", ["\u202e", "\u2066", "\u200b", "\u200f", "\x1b", "\x00", "\x7f", "\ud800", "\x9b"]
    )
    def test_what_hides_reorders_or_steers_is_replaced_by_a_sign(self, hidden):
        shown = str(visible(f"a{hidden}b"))
        assert hidden not in shown
        assert len(shown) > 2

    @pytest.mark.parametrize("text", ["größe", "模型", "a\tb\nc", "👩\u200d🔬", "עברית"])
    def test_what_languages_need_stays(self, text):
        assert visible(text) == text

    def test_a_log_has_no_colours_and_the_last_state_of_a_line(self):
        assert log_text(b"\x1b[31mred\x1b[0m\r\n10 %\r50 %\rdone\n") == "red\ndone\n"

    def test_bytes_that_are_no_text_are_shown(self):
        assert log_text(b"a\xff\x1b[2Jb") == "a\\xff␛[2Jb"


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(None, ""), (0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (61, "1 m 1 s"), (3600, "1 h"), (90061, "1 d 1 h")],
    )
    def test_spans(self, seconds, text):
        assert duration(seconds) == text

    @pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (240_000_000, "240 MB")])
    def test_sizes(self, size, text):
        assert bytes_text(size) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.123456789, "0.12346"), (1e-9, "1e-09"), (1200000, "1,200,000"), (True, "true"), ("x", "x")],
    )
    def test_values(self, value, text):
        assert number(value) == text

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("the run ended", "The run ended."),
            ("training-x is gone", "training-x is gone."),
            ("", ""),
            ("Done!", "Done!"),
        ],
    )
    def test_messages(self, text, said):
        assert sentence(text) == said

    def test_moments_and_amounts(self):
        assert (ago(100.0, 100.0), ago(0.0, 7200.0), ago(None, 1.0)) == ("just now", "2 h ago", "")
        assert (amount(1, "run"), amount(2, "run")) == ("1 run", "2 runs")


class TestTemplates:
    def test_no_template_has_a_script_or_a_style_within(self):
        for file in (_WEB / "templates").iterdir():
            text = file.read_text("utf-8")
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), file.name
            assert "| safe" not in text, file.name

    def test_no_asset_makes_html_of_text(self):
        for file in (_WEB / "static").glob("*.js"):
            text = file.read_text("utf-8")
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)

    def test_nothing_is_loaded_from_another_machine(self):
        for file in (*(_WEB / "templates").iterdir(), *(_WEB / "static").iterdir()):
            found = re.findall(r"https?://[\w.]+", file.read_text("utf-8"))
            assert set(found) <= {"http://www.w3.org"}, file.name  # the name of SVG, which nothing loads


class TestAssets:
    def test_another_content_has_another_address(self, tmp_path):
        file = tmp_path / "a.js"
        file.write_text("1")
        assets = Assets({"a.js": file})
        first = assets.address("a.js")
        file.write_text("22")
        assert assets.address("a.js") != first
        assert assets.answer(first.split("/")[0], "a.js").headers["cache-control"] == "no-cache"
        now = assets.answer(assets.address("a.js").split("/")[0], "a.js")
        assert "immutable" in now.headers["cache-control"]

    def test_a_package_that_is_not_installed_is_told_and_fails_nothing(self, tmp_path):
        assets = Assets({"uplot.js": tmp_path / "uplot.js"})
        assert (assets.missing(), assets.address("uplot.js")) == (["uplot.js"], "missing/uplot.js")
        with pytest.raises(TrainyardError, match="not installed") as refused:
            assets.answer("missing", "uplot.js")
        assert "make setup" in refused.value.hint

    @pytest.mark.parametrize("name", ["../app.py", "", "package.json"])
    def test_nothing_else_is_served(self, tmp_path, name):
        with pytest.raises(TrainyardError, match="nothing at this path"):
            Assets({"a.js": tmp_path / "a.js"}).answer("x", name)


class TestPhases:
    @staticmethod
    def _run(phase, **times):
        return Run(MODEL_ID, MODEL_ID, "mnist", "vision", "pytorch 2.4", 1, phase, 100.0, **times)

    def test_a_run_that_ended_has_them_all_with_their_seconds(self):
        steps = [
            StepRun("validate", "success", 102.0, 105.0),
            StepRun("stage", "success", 106.0, 110.0),
            StepRun("train", "success", 111.0, 150.0),
            StepRun("upload", "success", 151.0, 155.0),
        ]
        outcome = Outcome(started_at=115.0, finished_at=145.0)
        run = self._run(Phase.DONE, running_at=115.0, finished_at=156.0, outcome=outcome)
        parts = phases_of(run, steps, now=999.0)
        assert [(part.name, part.seconds) for part in parts] == [
            ("queued", 2.0),
            ("validating", 4.0),
            ("staging", 4.0),
            ("waiting for GPU", 5.0),
            ("training", 30.0),
            ("storing", 11.0),
        ]
        assert sum(part.width for part in parts) == pytest.approx(100, abs=0.1)
        assert not any(part.going for part in parts)

    def test_of_a_run_that_is_going_the_last_one_grows(self):
        parts = phases_of(self._run(Phase.STAGING), [StepRun("validate", "success", 101.0, 102.0)], now=130.0)
        assert [(part.name, part.seconds, part.going) for part in parts] == [
            ("queued", 1.0, False),
            ("validating", 29.0, True),
        ]

    def test_of_a_run_that_waits_there_is_one(self):
        (part,) = phases_of(self._run(Phase.QUEUED), [], now=100.0)
        assert (part.name, part.going, part.width) == ("queued", True, 100.0)


def _counted(step):
    """Return lines of which each has dozens of twins, where a comparison takes longest."""
    return "\n".join(str(line * step % 120) for line in range(3999))


class TestCodeOfTwoRuns:
    @staticmethod
    def _zip(path, **files):
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(f"{name}.py", text)
        return path

    def test_what_is_new_gone_and_changed_is_told_with_its_lines(self, tmp_path):
        first = self._zip(tmp_path / "a.zip", train="one\ntwo\n", gone="x", same="s")
        second = self._zip(tmp_path / "b.zip", train="one\n2\n", new="y", same="s")
        found = {file.name: (file.what, file.lines) for file in differences(first, second)}
        assert found == {
            "gone.py": ("gone", ("@@ -1 +0,0 @@", "-x")),
            "new.py": ("new", ("@@ -0,0 +1 @@", "+y")),
            "train.py": ("changed", ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " ")),
        }

    @pytest.mark.parametrize("content", [b"a\0b", b"x" * 200_000])
    def test_what_is_no_text_or_too_long_is_named_without_lines(self, tmp_path, content):
        first, second = self._zip(tmp_path / "a.zip", w="1"), self._zip(tmp_path / "b.zip", w=content)
        (file,) = differences(first, second)
        assert (file.what, file.lines) == ("changed", ())
        assert file.after == (len(content), hashlib.sha256(content).hexdigest())

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (
                "\n".join(str(line % 120) for line in range(3999)),
                "\n".join(str(line * 7 % 120) for line in range(3999)),
            ),
            ("\x80" * 60_000, "\x81" * 60_000),
        ],
        ids=["much to compare", "much to show"],
    )
    def test_however_many_files_there_are_they_take_a_bounded_time_and_room(self, tmp_path, old, new):
        names = [f"f{number}" for number in range(50)]
        first = self._zip(tmp_path / "a.zip", **dict.fromkeys(names, old))
        second = self._zip(tmp_path / "b.zip", **dict.fromkeys(names, new))
        began = time.process_time()
        found = differences(first, second)
        assert time.process_time() - began < 8
        assert [file.what for file in found] == ["changed"] * 50
        assert sum(len(line) for file in found for line in file.lines) < 2**20
        assert found[-1].lines == ()

    def test_a_zip_that_is_no_more_has_no_difference(self, tmp_path):
        assert differences(tmp_path / "none.zip", self._zip(tmp_path / "b.zip", w="1")) is None


class TestPreviews:
    def test_what_is_shown_is_what_the_first_bytes_are(self):
        assert preview_of("a.txt", b"\x89PNG\r\n\x1a\n...", 11).kind == "picture"
        assert preview_of("a.png", b"<svg onload=alert(1)>", 21).kind == "text"
        assert preview_of("a.bin", b"\0\1", 2).kind == "nothing"
        assert preview_of("a.json", b'{"b":1}', 7).text == '{\n  "b": 1\n}'

    def test_json_that_its_indents_would_multiply_is_shown_as_it_is(self):
        deep = b"[" * 200 + b"0," * 100_000 + b"0" + b"]" * 200
        assert preview_of("a.json", deep, len(deep)).text == deep.decode()
        assert preview_of("a.json", b'{"b":', 5).text == '{"b":'
        assert preview_of("a.txt", b"abc", 300_000).cut


class TestParallel:
    def test_each_run_is_a_line_through_its_values(self):
        axes = axes_of([{"lr": 0.1, "opt": "adam"}, {"lr": 0.2, "opt": "sgd"}], [{"loss": 1.0}, {"loss": 2.0}])
        assert [(axis.name, axis.kind) for axis in axes] == [
            ("lr", "hyperparameter"),
            ("opt", "hyperparameter"),
            ("loss", "metric"),
        ]
        assert lines_of(axes) == {
            0: "60.0,230.0 500.0,230.0 940.0,230.0",
            1: "60.0,40.0 500.0,40.0 940.0,40.0",
        }

    def test_a_run_without_a_value_goes_past_that_axis(self):
        axes = axes_of([{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"b": 3}], [{}, {}, {}])
        assert sorted(lines_of(axes)) == [0, 1]

    def test_where_nothing_differs_there_is_no_drawing(self):
        assert axes_of([{"lr": 1}, {"lr": 1}], [{"loss": 1.0}, {"loss": 2.0}]) == []
