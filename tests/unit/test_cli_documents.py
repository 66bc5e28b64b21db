"""`store`, `experiments run`, `monitor`, `generate-manifest`, and stored documents in `list`, `show` and the others."""

from __future__ import annotations

import re

import pytest

from trainyard.cli.generate import TEMPLATES

pytest_plugins = ["cli_front_door"]

ID, RUN = "9e038155-eadd-42f4-9657-45c0c5676486", "c1f6b0f2-6a0e-4c5f-9d0b-7a1c2e3d4f55"
FIRST, SECOND = "training-DOl4q2LkR", "training-7GmPz0wQe"
DOCUMENT = {"id": ID, "url": f"/v3/experiments/{ID}", "name": "digits", "created_at": "2018-03-21T09:30:00Z"}
REFERENCE = {
    "name": "model1",
    "definition_id": "5b21ea03",
    "compute": {"name": "k80", "nodes": 2},
    "search": {"trials": 4, "goal": "maximize", "metric": "accuracy"},
}


def force(front_door, verb, place, status, body=None):
    """Answer the next request of this kind so."""
    from cli_front_door import Answer

    front_door.force(verb, place, Answer(status, body))


def experiment_run(front_door, *states, trainings=True):
    """Answer the next question for the run of an experiment, whose trainings are in these states."""
    names = zip((FIRST, SECOND), ("model1", "model2"), states, strict=True)
    found = [front_door.add(model_id, name=name, state=state) for model_id, name, state in names]
    whole = "completed" if set(states) == {"completed"} else "error" if "running" not in states else "running"
    body = {"id": RUN, "state": whole, "experiment": "digits (c1f6b0f2)", "states": {"running": 2}}
    shown = {"trainings": [dict(each) for each in found]} if trainings else {}
    force(front_door, "GET", f"/v3/experiments/{ID}/runs/{RUN}", 200, {**body, **shown})


class TestStore:
    def test_a_definition_prints_what_the_original_printed(self, cli, front_door, submission):
        force(front_door, "POST", "/v3/training_definitions", 201, {**DOCUMENT, "version_id": RUN})
        done = cli("store", "training-definitions", *submission)
        assert done.out == (
            f"Creating training-definition ...\nOK\ntraining-definition ID is '{ID}' and version ID is '{RUN}'\n"
        )

    def test_an_experiment_is_answered_as_json_too(self, cli, front_door, submission):
        force(front_door, "POST", "/v3/experiments", 201, DOCUMENT)
        assert cli("store", "experiments", submission[1], "-o", "json").data == DOCUMENT

    def test_faults_name_the_file(self, cli, front_door, submission):
        problem = {"message": "settings is missing.", "hint": "Add settings.", "code": "C101", "line": 1, "column": 1}
        error = {"code": "C101", "fault": "client", "message": "1 problem", "hint": "", "problems": [problem]}
        force(front_door, "POST", "/v3/experiments", 400, {"error": error})
        done = cli("store", "experiments", submission[1])
        assert done.code == 1
        assert f"{submission[1]}:1:1: settings is missing." in done.err

    @pytest.mark.parametrize(
        "words", [("training-definitions", "a"), ("experiments", "a", "b"), ("models", "a"), ("experiments",)]
    )
    def test_other_words_are_wrong_usage(self, cli, words):
        assert cli("store", *words).code == 2


class TestListed:
    def test_the_trainings_of_an_experiments_run_are_in_the_table_of_2017(self, cli, front_door):
        experiment_run(front_door, "running", "completed")
        done = cli("list", "training-runs", ID, RUN)
        assert done.out.endswith("2 records found.\nOK\nList all training-runs successful\n")
        assert f"1       model1                     {FIRST}   running" in done.out

    def test_the_runs_of_an_experiment_tell_how_many_trainings_are_in_which_state(self, cli, front_door):
        rows = [{"id": RUN, "state": "running", "states": {"completed": 2, "running": 1}}]
        force(front_door, "GET", f"/v3/experiments/{ID}/runs", 200, {"resources": rows, "total": 1})
        assert "2 completed, 1 running" in cli("list", "experiment-runs", ID).out

    def test_an_experiment_is_shown_with_what_it_trains(self, cli, front_door):
        force(front_door, "GET", f"/v3/experiments/{ID}", 200, {**DOCUMENT, "content": {"references": [REFERENCE]}})
        shown = cli("show", "experiments", ID).out
        what = "definition 5b21ea03, k80, 2 machines, search of 4 runs to maximize accuracy"
        assert f"Training       model1: {what}\nOK\nShow experiments details successful\n" in shown

    def test_a_run_is_shown_with_its_trainings(self, cli, front_door):
        experiment_run(front_door, "running", "running")
        shown = cli("show", "experiment-runs", ID, RUN).out
        assert "Experiment     digits (c1f6b0f2)\n" in shown
        assert SECOND in shown

    @pytest.mark.parametrize("words", [("experiments", ID), ("experiment-runs",), ("training-runs", ID)])
    def test_a_wrong_number_of_ids_is_wrong_usage(self, cli, words):
        assert cli("list", *words).code == 2

    def test_what_is_stored_has_no_filters(self, cli):
        assert cli("list", "experiments", "--limit", "3").code == 2

    @pytest.mark.parametrize(
        ("words", "verb", "place"),
        [
            (("delete", "experiments", ID), "DELETE", f"/v3/experiments/{ID}"),
            (("delete", "training-definitions", ID), "DELETE", f"/v3/training_definitions/{ID}"),
            (("delete", "experiment-runs", ID, RUN), "DELETE", f"/v3/experiments/{ID}/runs/{RUN}"),
            (("cancel", "experiment-runs", ID, RUN), "PATCH", f"/v3/experiments/{ID}/runs/{RUN}"),
        ],
    )
    def test_documents_and_runs_are_deleted_and_canceled_by_their_nouns(self, cli, front_door, words, verb, place):
        answer = (204,) if verb == "DELETE" else (202, {"id": RUN, "state": "canceled"})
        force(front_door, verb, f"{place}$", *answer)
        done = cli(*words)
        assert done.code == 0
        assert done.out.endswith(f"OK\n{words[0].capitalize()} {words[1]} successful\n")
        assert front_door.paths(verb) == [place]

    @pytest.mark.parametrize(
        "words", [("cancel", "experiments", ID), ("show", "experiment-runs", ID), ("delete", "experiments")]
    )
    def test_what_cannot_be_is_wrong_usage_with_a_hint(self, cli, words):
        done = cli(*words)
        assert done.code == 2
        assert "hint:" in done.err

    def test_an_id_with_slashes_asks_for_nothing_else(self, cli, front_door):
        cli("show", "experiments", "../models/x")
        assert front_door.paths("GET") == ["/v3/experiments/..%2Fmodels%2Fx"]


class TestMonitor:
    def test_the_lines_of_all_trainings_come_with_their_names_until_all_have_ended(self, cli, front_door):
        experiment_run(front_door, "completed", "completed")
        front_door.logs = {FIRST: [b"one\ntwo\n"], SECOND: [b"\x1b[31mred\nno end"]}
        done = cli("monitor", "experiments", ID, RUN)
        assert done.code == 0
        assert re.findall(r"^\[.*", done.out, re.MULTILINE) == [
            f"[model1 {FIRST}] one",
            f"[model1 {FIRST}] two",
            f"[model2 {SECOND}] \\x1b[31mred",
            f"[model2 {SECOND}] no end",
        ]

    def test_it_goes_on_where_it_was_and_fails_with_a_training_that_fails(self, cli, front_door):
        experiment_run(front_door, "running", "pending")
        experiment_run(front_door, "completed", "error")
        front_door.logs = {FIRST: [b"one\nt"], SECOND: [b"oh\n"]}
        done = cli("monitor", "experiments", ID, RUN, "logs")
        assert done.code == 1
        assert re.findall(r"^\[.*", done.out, re.MULTILINE) == [
            f"[model1 {FIRST}] one",
            f"[model1 {FIRST}] t",
            f"[model2 {SECOND}] oh",
        ]
        assert "C201" in done.err

    def test_a_run_whose_trainings_are_gone_is_not_waited_for(self, cli, front_door):
        body = {"id": RUN, "state": "pending", "trainings": []}
        force(front_door, "GET", f"/v3/experiments/{ID}/runs/{RUN}", 200, body)
        done = cli("monitor", "experiments", ID, RUN)
        assert (done.code, "no trainings any more" in done.err) == (1, True)

    def test_metrics_are_followed_too(self, cli, front_door):
        experiment_run(front_door, "completed", "completed")
        curve = {"name": "accuracy", "points": [[1, None, 0.5]], "last": [1, None, 0.5], "count": 1}
        for model_id in (FIRST, SECOND):
            answer = {"model_id": model_id, "curves": [curve], "cursor": "c"}
            force(front_door, "GET", f"{model_id}/metrics", 200, answer)
        done = cli("monitor", "experiments", ID, RUN, "metrics")
        assert f"[model2 {SECOND}] accuracy 0.5" in done.out

    def test_a_run_alone_is_followed_as_logs_follows_it(self, cli, front_door):
        front_door.add(FIRST, state="completed")
        front_door.logs[FIRST] = [b"one\n"]
        assert cli("monitor", "training-runs", FIRST, "logs").out == "one\n"

    @pytest.mark.parametrize("words", [("experiments", ID), ("training-runs", "a", "b"), ("things", ID)])
    def test_other_words_are_wrong_usage(self, cli, words):
        assert cli("monitor", *words).code == 2


class TestTemplates:
    @pytest.mark.parametrize("noun", TEMPLATES)
    def test_a_template_is_one_that_is_read_once_it_is_filled_in(self, cli, noun):
        from manifest_samples import limits

        from trainyard.manifest.olddocuments import Reading, examine_definition, read_experiment
        from trainyard.manifest.reading import examine_manifest

        text = cli("generate-manifest", noun).out
        assert cli("generate-manifest", noun, "-o", "json").data == {"manifest": text}
        filled = re.sub(r"<the ID[^>]*>", ID, text)
        filled = re.sub(r"<the endpoint[^>]*>", "https://s3.example.com", filled)
        filled = re.sub(r"<[^>]*>", "filled-in", filled).encode()
        if noun == "experiments":
            assert read_experiment(filled, Reading(limits())).experiment.references[0].search["trials"] == 4
        elif noun == "training-definitions":
            assert examine_definition(filled, Reading(limits())).problems == ()
        else:
            assert examine_manifest(filled, limits()).problems == ()

    def test_another_word_is_wrong_usage(self, cli):
        assert cli("generate-manifest", "models").code == 2
