"""Running a run again: with what it had, with other values, and with exactly what it had."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import LIMITS, MODEL_ID, training
from serviceworld import ADA, MALLORY
from serviceworld import world as world  # a fixture

from trainyard.core.rerunning import Rerunning
from trainyard.core.runs import Filter, Run
from trainyard.core.starting import Starting
from trainyard.domain.checkpointing import Checkpointing
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import sizes_for
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

_IMAGE = "registry.example.com/tensorflow@sha256:" + "a" * 64


class _Runs:
    def make(self, start):
        return True


@pytest.fixture
def again(world):
    """Run the ended run of a training again; `world.versions` are those that runs have of their data."""
    values = {"lr": 0.1, "epochs": 3, "nesterov": True, "note": "plain"}
    world.catalogue.add(training(hyperparameters=values, sizes=sizes_for(LIMITS.accounts["vision"], LIMITS)))
    world.catalogue.zip_path(MODEL_ID).write_bytes(b"PK")
    run = Run(MODEL_ID, MODEL_ID, "tf-mnist", "vision", "tensorflow 2.16", 1, Phase.DONE, 1.0, outcome=Outcome())
    world.history.runs[MODEL_ID] = run
    world.versions = {MODEL_ID: "a1" * 8}
    service = replace(world.service, version_of=lambda key: world.versions.get(key.model_id))
    rerunning = Rerunning(service, Starting(world.catalogue, _Runs(), lambda: LIMITS, lambda: 1.0))

    def rerun(model_id=MODEL_ID, exact=False, caller=ADA, key="", resume=False, called="", **changes):
        return rerunning.rerun(model_id, changes, exact, caller, key, resume, called)

    return rerun


def test_it_has_what_the_run_had_and_tells_which_one_it_repeats(again, world):
    world.history.runs[MODEL_ID] = replace(world.history.runs[MODEL_ID], overrides={"lr": 0.5, "size": "large"})
    start = again()
    assert (start.values, start.parent) == ({"lr": 0.5, "size": "large"}, MODEL_ID)
    assert (start.data_version, start.image) == ("", "")


def test_one_that_resumes_goes_on_from_the_run_that_it_repeats(again):
    start = again(resume=True)
    assert (start.parent, start.resume) == (MODEL_ID, True)
    assert not again().resume


def test_of_checkpoints_that_are_shared_nobody_goes_on_from_a_runs_own(again, world):
    shared = training(checkpoint=Checkpointing(shared=True))
    world.catalogue.remove(MODEL_ID)
    world.catalogue.add(shared)
    with pytest.raises(TrainyardError, match="shares its checkpoints") as refusal:
        again(resume=True)
    assert refusal.value.code.code == "C108"


def test_changes_stand_in_the_place_of_what_it_had(again, world):
    world.history.runs[MODEL_ID] = replace(world.history.runs[MODEL_ID], overrides={"lr": 0.5, "epochs": 9})
    assert again(lr="0.02", epochs="3", nesterov="false", note="0.5", command="python3 other.py").values == {
        "lr": 0.02,
        "nesterov": False,
        "note": "0.5",
        "command": "python3 other.py",
    }


def test_all_that_is_wrong_is_told_at_once(again):
    with pytest.raises(TrainyardError) as refused:
        again(lr="fast", nesterov="yes", depth="3", size="huge")
    assert [problem.path for problem in refused.value.problems] == ["lr", "nesterov", "depth", "size"]


def test_nobody_runs_a_run_of_others_again(again):
    with pytest.raises(TrainyardError) as refused:
        again(caller=MALLORY)
    assert refused.value.code.code == "C107"


def test_the_same_key_starts_it_once(again):
    assert again(key="k") == again(key="k")


class TestItsName:
    def test_it_is_its_own_and_not_that_of_the_next_one(self, again, world):
        start = again(called=" baseline ")
        assert (start.name, world.catalogue.starts.named()) == ("baseline", {start.key: "baseline"})
        assert world.catalogue.as_named(start.key, world.catalogue.get(MODEL_ID)).spec.name == "baseline"
        assert again().name == ""

    def test_it_is_forgotten_with_the_run(self, again, world):
        start = again(called="baseline")
        world.catalogue.starts.remove(start.model_id)
        assert world.catalogue.starts.named() == {}

    @pytest.mark.parametrize("name", ["x" * 257, "a\nb", "a\x1b[2Jb", "a\u202eb", "a\ud800b", "a\0b"])
    def test_what_no_run_can_be_called_is_refused(self, again, world, name):
        with pytest.raises(TrainyardError) as refused:
            again(called=name)
        assert (refused.value.code.code, refused.value.problems[0].path) == ("C110", "name")
        assert world.catalogue.starts.all() == {}

    def test_the_same_key_is_not_for_another_name(self, again):
        again(key="k", called="one")
        with pytest.raises(TrainyardError) as refused:
            again(key="k", called="two")
        assert refused.value.code.code == "C108"

    def test_runs_are_found_by_it_and_by_that_of_their_training_no_more(self, again, world):
        start = again(called="Baseline")
        first = world.history.runs[MODEL_ID]
        world.history.runs[start.model_id] = replace(first, model_id=start.model_id, name=start.name)

        def listed(name):
            return [run.model_id for run in world.service.runs(ADA, 10, 0, Filter(name=name))[0]]

        assert (listed("base"), listed("mnist")) == ([start.model_id], [MODEL_ID])
        assert [run.model_id for run in world.service.matching("Baseline", ADA)] == [start.model_id]
        assert [run.model_id for run in world.service.matching("tf-mnist", ADA)] == [MODEL_ID]
        assert world.service.matching("Baseline", MALLORY) == []
        assert world.service.runs(MALLORY, 10, 0, Filter(name="base"))[1] == 0


class TestExactly:
    def test_it_takes_the_version_of_the_data_and_the_very_image(self, again, world):
        world.history.runs[MODEL_ID] = replace(world.history.runs[MODEL_ID], outcome=Outcome(image=_IMAGE))
        start = again(exact=True, lr=0.02)
        assert (start.data_version, start.image, start.values) == ("a1" * 8, _IMAGE, {"lr": 0.02})

    def test_all_that_is_gone_is_told(self, again, world):
        world.versions.clear()
        world.catalogue.zip_path(MODEL_ID).unlink()
        with pytest.raises(TrainyardError) as refused:
            again(exact=True)
        assert refused.value.code.code == "C117"
        assert [problem.message for problem in refused.value.problems] == [
            f"{MODEL_ID} never had its data, or it is not known.",
            "the zip is not kept any more.",
        ]
