"""One more run of a training: what it may have, that it is one, and what of it outlives a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from samples import LIMITS, MODEL_ID, training
from service_fakes import Events

from trainyard.core.accounts import SERVICE, Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.starting import Asked, Starting, forget_start
from trainyard.core.starts import Kind
from trainyard.domain.names import RunKey, is_model_id
from trainyard.domain.plan import sizes_for
from trainyard.errors import TrainyardError

ADA, GRACE, MALLORY = Caller("ada"), Caller("grace"), Caller("mallory")
_CLAIMED = "training-claimed00"


class _Airflow:
    """Airflow's runs in memory; `down` is whether it fails, `strangers` are trainings that it does not know."""

    def __init__(self):
        self.runs, self.strangers, self.down = {}, set(), False

    def make(self, start):
        if self.down:
            raise OSError("the database is locked")
        if start.training_id in self.strangers:
            return False
        self.runs.setdefault(start.model_id, start)
        return True


@pytest.fixture
def world(tmp_path):
    there = SimpleNamespace(catalogue=Catalogue(tmp_path / "catalogue"), airflow=_Airflow(), events=Events(), now=1.0)
    there.catalogue.add(
        training(hyperparameters={"lr": 0.1, "epochs": 3}, sizes=sizes_for(LIMITS.accounts["vision"], LIMITS))
    )
    there.limits = LIMITS
    there.starting = Starting(
        there.catalogue, there.airflow, lambda: there.limits, lambda: there.now, there.events.audit
    )

    def start(caller=ADA, key="", **values):
        return there.starting.start(Asked(MODEL_ID, values), caller, key)

    there.start = start
    return there


def _refusal(world, asked, caller=ADA, key=""):
    with pytest.raises(TrainyardError) as refused:
        world.starting.start(asked, caller, key)
    assert world.catalogue.starts.all().keys() <= world.airflow.runs.keys()
    return refused.value


class TestOne:
    def test_it_has_an_id_of_its_own_what_was_given_and_who_asked(self, world):
        start = world.start(GRACE, lr=0.5, size="large")
        assert is_model_id(start.model_id)
        assert (start.owner, start.values, start.kind) == ("grace", {"lr": 0.5, "size": "large"}, "rerun")
        assert world.airflow.runs == {start.model_id: start}
        assert world.catalogue.starts.get(start.model_id) == start
        assert world.catalogue.starts.pending() == {}

    def test_only_what_differs_from_the_manifest_is_kept(self, world):
        assert world.start(lr=0.1, epochs=4, size="small").values == {"epochs": 4}

    def test_it_is_recorded_with_who_asked_and_what_it_became(self, world):
        start = world.start()
        assert world.events.seen("actor", "action", "account", "run") == [("ada", "start", "vision", start.model_id)]

    def test_the_service_starts_trials_for_their_owners_under_ids_that_it_has_noted(self, world):
        asked = Asked(MODEL_ID, {"lr": 0.5}, Kind.TRIAL, trial=7, model_id=_CLAIMED, owner="ada")
        start = world.starting.start(asked, SERVICE)
        assert (start.model_id, start.owner, start.trial, start.kind) == (_CLAIMED, "ada", 7, "trial")
        assert world.starting.start(asked, SERVICE) == start
        assert list(world.airflow.runs) == [_CLAIMED]


class TestRefusals:
    def test_all_values_that_it_cannot_have_are_told_at_once(self, world):
        error = _refusal(world, Asked(MODEL_ID, {"lr": "fast", "depth": 3, "size": "huge", "epochs": 2.5}))
        assert [problem.path for problem in error.problems] == ["lr", "depth", "size", "epochs"]
        assert error.code.code == "C110"

    def test_what_the_account_has_no_more_is_refused_beside_them(self, world):
        world.limits = LIMITS.__class__(
            **{**vars(LIMITS), "sizes": {name: size for name, size in LIMITS.sizes.items() if name != "large"}}
        )
        error = _refusal(world, Asked(MODEL_ID, {"lr": "fast", "size": "large"}))
        assert [problem.code for problem in error.problems] == ["C110", "C104"]

    def test_an_account_that_is_gone_runs_nothing_more(self, world):
        world.limits = LIMITS.__class__(**{**vars(LIMITS), "accounts": {}})
        assert _refusal(world, Asked(MODEL_ID), SERVICE).problems[0].code == "C104"

    @pytest.mark.parametrize("training_id", [MODEL_ID, "training-nothing00", "../../etc/passwd"])
    def test_a_stranger_learns_of_no_training(self, world, training_id):
        error = _refusal(world, Asked(training_id), MALLORY)
        assert (error.code.code, error.message) == ("C107", f"there is no training {training_id}")
        assert world.events[-1].result == "refused"

    def test_nobody_starts_runs_in_the_name_of_others(self, world):
        assert _refusal(world, Asked(MODEL_ID, owner="grace")).code.code == "C106"

    def test_an_id_that_another_run_has_is_refused(self, world):
        world.starting.start(Asked(MODEL_ID, {"lr": 0.5}, model_id=_CLAIMED), ADA)
        assert _refusal(world, Asked(MODEL_ID, {"lr": 0.7}, model_id=_CLAIMED)).code.code == "C108"
        assert _refusal(world, Asked(MODEL_ID, model_id=MODEL_ID)).code.code == "C108"
        assert world.airflow.runs[_CLAIMED].values == {"lr": 0.5}


class TestOnce:
    def test_the_same_key_is_the_same_run_and_a_fresh_one_another(self, world):
        first = world.start(key="again", lr=0.5)
        world.now = 9.0
        assert world.start(key="again", lr=0.5) == first
        assert world.start(key="other", lr=0.5).model_id != first.model_id
        assert len(world.airflow.runs) == 2

    def test_a_key_is_not_taken_for_another_run(self, world):
        world.start(key="again", lr=0.5)
        assert _refusal(world, Asked(MODEL_ID, {"lr": 0.7}), key="again").code.code == "C108"

    def test_a_key_whose_run_is_forgotten_is_free_again(self, world):
        first = world.start(key="again", lr=0.5)
        forget_start(world.catalogue, first, "vision")
        assert world.start(key="again", lr=0.7).model_id != first.model_id

    def test_a_run_that_airflow_cannot_have_yet_is_made_by_the_next_look(self, world):
        world.airflow.strangers.add(MODEL_ID)
        start = world.start(lr=0.5)
        assert list(world.catalogue.starts.pending()) == [start.model_id]
        assert world.catalogue.expected() == {RunKey.first_of(MODEL_ID), start.key}
        assert world.starting.settle(SERVICE) == []
        world.airflow.strangers.clear()
        assert world.starting.settle(SERVICE) == [start.model_id]
        assert world.airflow.runs == {start.model_id: start}
        assert world.starting.settle(SERVICE) == []

    def test_who_asked_has_the_id_although_the_database_failed(self, world):
        world.airflow.down = True
        start = world.start(key="again")
        world.airflow.down = False
        assert world.start(key="again") == start
        assert list(world.airflow.runs) == [start.model_id]

    def test_one_that_is_made_is_not_made_again_when_somebody_deletes_it(self, world):
        start = world.start()
        world.airflow.runs.clear()
        assert world.starting.settle(SERVICE) == []
        assert world.catalogue.starts.get(start.model_id) == start
        assert world.airflow.runs == {}

    def test_one_whose_training_went_meanwhile_goes_too(self, world):
        world.airflow.strangers.add(MODEL_ID)
        world.start()
        world.catalogue.remove(MODEL_ID)
        assert world.starting.settle(SERVICE) == []
        assert len(world.catalogue.starts.all()) == 1  # it may just be being registered
        later = replace(world.starting, clock=lambda: world.starting.clock() + 2 * 24 * 3600)
        assert later.settle(SERVICE) == []
        assert world.catalogue.starts.all() == {}

    def test_only_the_service_settles_what_is_left(self, world):
        with pytest.raises(TrainyardError) as refused:
            world.starting.settle(ADA)
        assert refused.value.code.code == "C106"


class TestFiles:
    def test_a_broken_start_is_none_and_keeps_no_other(self, world):
        start, other = world.start(), world.start(lr=0.5)
        (world.catalogue.folder / "starts" / f"{start.model_id}.json").write_text("{")
        assert world.catalogue.starts.get(start.model_id) is None
        assert world.catalogue.starts.of_training(MODEL_ID) == [other]

    def test_what_a_newer_version_wrote_is_read_as_far_as_it_is_known(self, world):
        start = world.start(lr=0.5)
        path = world.catalogue.folder / "starts" / f"{start.model_id}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
        assert world.catalogue.starts.get(start.model_id) == start

    @pytest.mark.parametrize("name", ["", "..", "../secret", "training-DOl4q2LkR/../x", "training-\0aaaaaaaa"])
    def test_no_name_leads_out_of_the_folder(self, world, name):
        assert world.catalogue.starts.get(name) is None

    def test_the_values_are_the_starts_and_not_those_that_airflow_has(self, world):
        start = world.start(lr=0.5)
        assert world.catalogue.values_of(start.key, {"lr": 9.0, "size": "large"}) == {"lr": 0.5}
        assert world.catalogue.owner_of(start.key, world.catalogue.get(MODEL_ID), "mallory") == "ada"

    def test_a_run_of_another_training_does_not_take_them(self, world):
        start = world.start(lr=0.5)
        theirs = RunKey("training-Xz81mQ0aB", start.model_id)
        assert world.catalogue.values_of(theirs, {"lr": 9.0}) == {"lr": 9.0}

    @pytest.mark.parametrize("conf", [None, "text", ["size"]])
    def test_a_run_that_nobody_asked_the_service_for_has_what_it_was_triggered_with(self, world, conf):
        assert world.catalogue.values_of(RunKey.first_of(MODEL_ID), conf) == {}
