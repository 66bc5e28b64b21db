"""What Airflow shows of a training's DAG: its name in lists, and what is really used under "Docs"."""

from __future__ import annotations

import re

import pytest
from late import Late
from samples import MODEL_ID, training

from trainyard.domain.schedule import Schedule
from trainyard.domain.training import Author, Framework, Resources

pytestmark = pytest.mark.xdist_group("airflow")

docs = Late("trainyard.airflow.dagdocs")
dags = Late("trainyard.airflow.dag")
_GRID = {"hyperparameters": {"lr": 0.1, "epochs": 5}, "settings": {"lr": 0.1}}
_HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "<javascript:alert(1)>",
    "`` ` ```` </code>",
    "\u202egnp.exe \u2066x\u2069",
    "\x1b]0;title\x07\x00",
    "# Heading\n\n---\n| a | b |\n|---|---|",
    "x\n```\n````````\n<b>out</b>",
    "[ref]: javascript:alert(1)",
    "- * + 1. > quote",
    "&lt;b&gt; &#106;avascript",
]


def _docs(**changes):
    return dags.training_dag(training(**changes)).doc_md


def _name(**changes):
    return dags.training_dag(training(**changes)).dag_display_name


class TestName:
    def test_a_training_of_a_grid_is_called_by_its_point(self):
        assert _name(name="digits", **_GRID) == "digits · lr=0.1"

    def test_a_training_of_no_grid_is_called_by_its_name(self):
        assert _name(name="digits", hyperparameters={"lr": 0.1}) == "digits"

    def test_a_long_point_is_cut(self):
        values = {f"p{number}": "x" * 900 for number in range(50)}
        name = _name(name="digits", hyperparameters=values, settings=values)
        assert name.startswith(f"digits · p0={'x' * 23}…, p1=")
        assert len(name) < 100

    @pytest.mark.parametrize("text", _HOSTILE)
    def test_a_name_and_a_point_are_on_one_line_and_turn_no_text_round(self, text):
        assert _name(name=text, hyperparameters={"a": text}, settings={"a": text}).isprintable()


class TestDocs:
    def test_what_is_really_used_is_told(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/sub/")
        told = _docs(
            resources=Resources(size="large"),
            experiment="rates",
            schedule=Schedule(cron="0 3 * * *", timezone="UTC"),
            **_GRID,
        )
        for line in (
            f"[**This training's page**](<https://airflow.example.com/sub/trainyard/dags/{MODEL_ID}>)",
            "- Framework: `tensorflow 2.16`",
            "- Image: `registry.example.com/tensorflow:2.16`",
            "- Size: `large`, 4 GPU, 16 CPU, 96Gi memory",
            "- Account: `vision`",
            "- Owner: `ada`",
            "- Experiment: `rates`",
            "- Schedule: `0 3 * * * UTC`",
            f"- Results of the first run: `s3://training-results/{MODEL_ID}/`",
            "- `lr` = `0.1`, set with the submission",
            "- `epochs` = `5`",
        ):
            assert line in told.splitlines()

    def test_the_page_is_linked_below_the_service_where_its_address_is_not_known(self, monkeypatch):
        monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
        assert f"/trainyard/dags/{MODEL_ID}>" in _docs()

    def test_what_a_training_does_not_have_is_not_told(self):
        told = _docs()
        assert "Experiment" not in told
        assert "Schedule" not in told
        assert "Hyperparameters" not in told

    def test_an_explicit_amount_has_no_size(self):
        assert "- Size: 0 GPU, 1 CPU" in _docs(resources=Resources(gpus=0))

    @pytest.mark.parametrize("text", _HOSTILE)
    @pytest.mark.parametrize("field", ["description", "manifest", "name", "author", "framework", "experiment", "value"])
    def test_what_a_person_wrote_is_shown_and_never_obeyed(self, text, field):
        changes = {
            "author": {"author": Author(text, text)},
            "framework": {"framework": Framework("custom", "registry.example.com/x:1")},
            "value": {"hyperparameters": {"a": text}, "settings": {"a": text}},
        }.get(field, {field: text})
        told = _docs(**changes)
        assert all(line.isprintable() for line in told.split("\n"))
        markup, fenced = _split(told)
        assert "````````" not in fenced
        # Outside of code nothing is left but our own markup and escaped text.
        bare = re.sub(r"\\.", "", _without_code(markup))
        ours = r"\[\*\*This training's page\*\*\]\(<[^<>]*/trainyard/dags/training-\w{9}>\)"
        rest = re.sub(ours, "", bare, count=1)
        assert not re.search(r"[<>`\[\]*#|&!]", rest)


def _split(told):
    before, _, rest = told.partition(f"\n{'`' * 8}yaml\n")
    fenced, _, after = rest.rpartition(f"\n{'`' * 8}\n")
    assert after == ""
    return before, fenced


def _without_code(text):
    """Take out code spans as CommonMark finds them: an opening run of backticks up to the next run of its length."""
    kept, at = "", 0
    runs = re.compile(r"(?<!\\)(?<!`)(`+)(?!`)")
    while opening := runs.search(text, at):
        closing = re.compile(rf"(?<!`)`{{{len(opening[1])}}}(?!`)").search(text, opening.end())
        assert closing, "a code span is open"
        assert "\n" not in text[opening.start() : closing.end()]
        kept, at = kept + text[at : opening.start()], closing.end()
    return kept + text[at:]
