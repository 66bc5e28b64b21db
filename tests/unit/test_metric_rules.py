"""What a manifest says of metrics: patterns that cannot be used are told at the door, with their line."""

from __future__ import annotations

import sys

import pytest
from manifest_samples import FFDL, MANIFEST, only_problem, read

from trainyard.domain.metricrules import MACROS, TRAINING_LOG, expanded, groups_of, place_of, rules_of

_GROUPS = """evaluation_metrics:
  type: regex_extractor
  groups:
    train:
      regex: "step %{INT:step}.*loss = %{FLOAT:loss}"
      scalars:
        loss: {type: FLOAT, value: $loss}
      etimes:
        iteration: {type: INT, value: $step}
"""


@pytest.mark.parametrize("text", [MANIFEST, FFDL], ids=["wml", "ffdl"])
def test_patterns_and_evaluation_metrics_come_into_the_spec_of_every_family(text):
    found = read(f"{text}metrics:\n  loss: 'loss: ([0-9.]+)'\n{_GROUPS}").submission
    assert found.spec.metric_patterns == {"loss": "loss: ([0-9.]+)"}
    rules = rules_of(found.spec.metrics, found.spec.metric_patterns)
    assert [list(pattern.values) for pattern in rules.patterns] == [["train/loss"], ["loss"]]
    assert (rules.patterns[0].step, rules.log, rules.warnings, found.warnings) == ("step", TRAINING_LOG, (), ())


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("'loss: [0-9.]+'", "has no group"),
        ("'loss: ([0-9.]+'", "cannot be used: missing )"),
        (r"'(?<=loss )(\d+)'", "cannot be used"),
        ("'loss: %{FLOT:x}'", "macro %{FLOT:x}"),
        ("'(" + "x" * 3000 + ")'", "longer than"),
        ("'((((a{1,100}){1,100}){1,100}){1,100})'", "cannot be used"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_line(pattern, words):
    text = f"{MANIFEST}metrics:\n  loss: {pattern}\n"
    problem = only_problem(text)
    assert words in problem.message
    assert (problem.path, problem.line) == ("metrics.loss", text.count("\n"))
    assert problem.hint


def test_a_pattern_of_a_group_is_refused_at_its_regex():
    problem = only_problem(FFDL + _GROUPS.replace("value: $loss", "value: $lost"))
    assert problem.message == "the pattern has no group lost."
    assert problem.path == "evaluation_metrics.groups.train.regex"


class TestLearner:
    ASKED = "evaluation_metrics: {learner: 2, type: tensorboard, in: $JOB_STATE_DIR/logs/tb/train}\n"

    def test_the_metrics_of_another_learner_than_the_first_are_read_where_that_one_has_them(self):
        rules = rules_of(read(FFDL.replace("learners: 1", "learners: 2") + self.ASKED).submission.spec.metrics, {})
        assert (rules.own, rules.log) == ("learners/2/", "learners/2/logs/learner-2/training-log.txt")
        assert rules.summaries == ("learners/2/state/logs/tb/train",)

    @pytest.mark.parametrize(
        ("place", "path"),
        [
            ("$LOG_DIR/x.txt", "learners/3/logs/x.txt"),
            ("$RESULT_DIR/x.txt", "result/x.txt"),
            ("$JOB_STATE_DIR/logs/training-log.txt", "learners/3/logs/learner-3/training-log.txt"),
        ],
    )
    def test_places_are_its_own_but_for_results(self, place, path):
        assert rules_of({"type": "file", "in": place, "learner": 3}, {}).line_files == (path,)

    @pytest.mark.parametrize("learner", ["2", "0", "two", "true", "1.5", "[1]"])
    def test_one_that_there_is_not_is_refused_with_its_line(self, learner):
        problem = only_problem(f"{MANIFEST}evaluation_metrics: {{learner: {learner}}}\n")
        assert problem.message == "there is one learner, 1."
        assert problem.path == "evaluation_metrics.learner"
        assert problem.line


def test_metrics_that_are_no_map_of_texts_are_refused():
    assert only_problem(f"{MANIFEST}metrics: [loss]\n").message == "metrics is a list, not a map."
    assert only_problem(f"{MANIFEST}metrics:\n  loss: 3\n").path == "metrics.loss"


def test_metrics_within_the_definition_are_told_where_they_belong():
    text = MANIFEST.replace("model_definition:\n", "model_definition:\n  metrics: {loss: '(x)'}\n")
    assert "beside model_definition" in only_problem(text).message


def test_a_type_that_nobody_reads_is_warned_of_and_told_with_the_metrics():
    (warning,) = read(f"{FFDL}evaluation_metrics:\n  type: prometheus\n").submission.warnings
    assert "type prometheus are not read" in warning
    assert rules_of({"type": "prometheus"}, {}).warnings


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("$JOB_STATE_DIR/logs/tb", "state/logs/tb"),
        ("${LOG_DIR}/em.txt", "logs/em.txt"),
        ("$JOB_STATE_DIR/logs/training-log.txt", TRAINING_LOG),
        ("/job/result/x.json", "result/x.json"),
        ("$RESULT_DIR", "result"),
        ("$LOG_DIR/../x", ""),
        ("/etc/passwd", ""),
        ("$DATA_DIR/x", ""),
        ("", ""),
    ],
)
def test_a_place_is_one_of_the_runs_own(text, path):
    assert place_of(text) == path


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_is_a_pattern_without_groups_of_its_own(name):
    assert groups_of(expanded(f"%{{{name}}}"))[1] == 0
    assert dict(groups_of(expanded(f"%{{{name}:x}}"))[0]) == {"x": 1}


def test_the_command_line_alone_looks_at_patterns_by_pythons_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    assert groups_of(r"(?P<x>\d)")[1] == 1
    assert "cannot be used" in only_problem(f"{MANIFEST}metrics:\n  loss: '('\n").message
