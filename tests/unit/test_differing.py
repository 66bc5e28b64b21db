"""What differs between two runs: the rule, and `trainyard diff`."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest
from samples import MODEL_ID, training
from serviceworld import ADA, MALLORY
from serviceworld import world as world  # a fixture

from trainyard.answers.diffs import RunsDiff
from trainyard.cli.diff import diff_lines
from trainyard.core.codediff import text_differences
from trainyard.core.differing import Changed, differing
from trainyard.core.runs import Run
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

pytest_plugins = ["cli_front_door"]

_OTHER = "training-Xz81mQ0aB"
_MANIFEST = "name: mnist\ncommand: python3 train.py\nlr: 0.1\n"


@pytest.fixture
def two(world):
    """Two runs of two trainings that are alike."""
    for model_id in (MODEL_ID, _OTHER):
        world.catalogue.add(replace(training(model_id), manifest=_MANIFEST))
        with zipfile.ZipFile(world.catalogue.zip_path(model_id), "w") as archive:
            archive.writestr("train.py", "1\n")
        world.history.runs[model_id] = Run(
            model_id, model_id, "mnist", "vision", "torch 2", 1, Phase.DONE, 1.0, outcome=Outcome()
        )
    return world


def _differing(world, caller=ADA):
    return differing(world.service, MODEL_ID, _OTHER, caller)


def _change(world, **changes):
    world.history.runs[_OTHER] = replace(world.history.runs[_OTHER], **changes)


def _register(world, **changes):
    known = world.catalogue.get(_OTHER)
    world.catalogue.record_path(_OTHER).unlink()
    path = world.catalogue.zip_path(_OTHER)
    data = path.read_bytes()
    world.catalogue.remove(_OTHER)
    path.write_bytes(data)
    world.catalogue.add(replace(known, **changes))


def test_of_two_that_are_alike_nothing_differs(two):
    found = _differing(two)
    assert (found.hyperparameters, found.manifest, found.files) == ((), (), ())
    assert (found.origin, found.outcome, found.metrics) == ((), (), ())


def test_values_and_results_are_compared_by_name(two):
    ended = Outcome("C201", exit_code=3, metrics={"loss": {"last": 0.5}})
    _change(two, hyperparameters={"lr": 0.1}, outcome=ended, gpus=2)
    found = _differing(two)
    assert found.hyperparameters == (Changed("lr", None, 0.1),)
    assert found.metrics == (Changed("loss", None, 0.5),)
    assert Changed("gpus", 1, 2) in found.origin
    assert {Changed("code", None, "C201"), Changed("exit_code", None, 3)} <= set(found.outcome)


def test_manifests_are_compared_as_they_were_run(two):
    _change(two, overrides={"command": "python3 other.py"})
    assert any("other.py" in line for line in _differing(two).manifest if line.startswith("+"))


def test_files_of_the_programs_are_compared_and_one_that_is_gone_is_told(two):
    with zipfile.ZipFile(two.catalogue.zip_path(_OTHER), "w") as archive:
        archive.writestr("train.py", "2\n")
    _register(two, zip_sha256="f" * 64)
    (file,) = _differing(two).files
    assert (file.name, file.lines[1:3]) == ("train.py", ("-1", "+2"))
    two.catalogue.zip_path(_OTHER).unlink()
    assert _differing(two).files is None


def test_a_run_of_others_is_none(two):
    with pytest.raises(TrainyardError) as refused:
        _differing(two, MALLORY)
    assert refused.value.code.code == "C107"


def test_texts_are_compared_for_a_bounded_time():
    late = iter([0.0, *[100.0] * 1000])
    assert text_differences("a\nb", "a\nc", lambda: next(late)) == ("@@ they differ too much to be shown @@",)


def _text(**found):
    empty = {"hyperparameters": [], "manifest": [], "files": [], "origin": [], "outcome": [], "metrics": []}
    answer = RunsDiff.model_validate({"first": MODEL_ID, "second": _OTHER, "same": False, **empty, **found})
    return "\n".join(diff_lines(answer, lambda text, colour: text))


def test_files_that_are_no_text_are_named_with_size_and_digest():
    file = {"name": "w.bin", "what": "changed", "lines": [], "first": {"size": 1, "sha256": "a" * 64}}
    shown = _text(files=[{**file, "second": {"size": 2}}])
    assert shown.endswith(f"Program: w.bin (changed)\n  1 bytes, sha256 {'a' * 12} -> 2 bytes")


def test_nothing_of_it_steers_the_terminal():
    evil = "\x1b[2J\r\u202e\nx"
    value = {"name": evil, "first": evil, "second": None}
    file = {"name": evil, "what": evil, "lines": [f"+{evil}"]}
    shown = _text(hyperparameters=[value], metrics=[value], manifest=[evil], files=[file])
    assert not {"\x1b", "\r", "\u202e"} & set(shown)
    assert "\nx" not in shown


def test_the_command_shows_it_and_ends_well_either_way(cli, front_door):
    front_door.add(MODEL_ID)
    front_door.add(_OTHER)
    path = f"/v3/models/{MODEL_ID}/diff/{_OTHER}$"
    answer = {"first": MODEL_ID, "second": _OTHER, "same": False, "files": None, "manifest": ["@@ -1 +1 @@", "-a"]}
    front_door.force("GET", path, _ok(answer))
    done = cli("diff", MODEL_ID, _OTHER)
    assert (done.code, "-a" in done.out, "a zip is not kept any more" in done.out) == (0, True, True)
    front_door.force("GET", path, _ok(answer))
    assert cli("diff", MODEL_ID, _OTHER, "-o", "json").data == answer
    front_door.force("GET", path, _ok({**answer, "same": True, "files": [], "manifest": []}))
    done = cli("diff", MODEL_ID, _OTHER)
    assert (done.code, done.out) == (0, f"Nothing differs between {MODEL_ID} and {_OTHER}\n")


def _ok(body):
    from cli_front_door import Answer

    return Answer(200, body)
