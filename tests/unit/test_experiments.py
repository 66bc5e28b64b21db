"""Several runs submitted at once: manifests, grids, all or nothing; and which runs a filter takes."""

from __future__ import annotations

import time
import zipfile
from types import SimpleNamespace

import pytest
from memorystore import MemoryStore
from samples import LIMITS, SPEC, training
from service_fakes import History, Vault
from serviceworld import MANIFEST_TEXT

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.runs import Filter, Run
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.service import Service
from trainyard.domain.names import RunKey
from trainyard.domain.states import Phase
from trainyard.domain.training import Framework
from trainyard.errors import TrainyardError
from trainyard.manifest.grid import Grid, annotated, read_grid, spec_with
from trainyard.settings import read_settings

ADA = Caller("ada")
_TUNED = MANIFEST_TEXT.replace(
    "    resource: small", "    resource: small\n    hyperparameters: {lr: 0.5, batch: 16, net: cnn}"
)
_NO_GRID = Grid({})
_KNOWN = {"lr": 0.5, "batch": 16, "net": "cnn", "augment": True}


@pytest.fixture
def world(tmp_path):
    """A service over small fakes, and a zip that its manifests can use."""
    there = SimpleNamespace(catalogue=Catalogue(tmp_path / "catalogue"), vault=Vault(), zip=tmp_path / "model.zip")
    with zipfile.ZipFile(there.zip, "w") as archive:
        archive.writestr("train.py", "print('hello')")
    there.service = Service(
        catalogue=there.catalogue,
        vault=there.vault,
        history=History(),
        limits=lambda: LIMITS,
        settings=read_settings({}),
        clock=lambda: 1_700_000_000.0,
        sync_pools=lambda limits: None,
        forget_files=lambda run: None,
        results_of=lambda training: MemoryStore(),
        pod_waits=lambda run: "",
        transfer_of=lambda run: None,
    )
    return there


def _submit(world, *manifests, experiment="", grid=_NO_GRID):
    named = [(f"job-{number}.yaml", text.encode()) for number, text in enumerate(manifests)]
    return world.service.registration.submit_all(named, world.zip, "vision", ADA, experiment, grid)


class TestGrids:
    def test_every_combination_is_a_run_with_its_values_in_the_manifests_types(self):
        grid = read_grid(["lr=1, 0.01", "batch=32", "augment=false", "net=mlp"])
        points = grid.points(spec_with(SPEC, _KNOWN))
        rest = {"batch": 32, "augment": False, "net": "mlp"}
        assert points == [{"lr": 1.0, **rest}, {"lr": 0.01, **rest}]
        assert [type(value) for value in points[0].values()] == [float, int, bool, str]
        assert grid.size == 2

    def test_the_last_name_changes_fastest(self):
        points = read_grid(["lr=1,2", "batch=3,4"]).points(spec_with(SPEC, _KNOWN))
        assert [(point["lr"], point["batch"]) for point in points] == [(1, 3), (1, 4), (2, 3), (2, 4)]

    def test_names_and_values_that_do_not_fit_are_told_together(self):
        grid = Grid({"rate": ("1",), "batch": ("0.5",), "augment": ("maybe",), "lr": ("nan", "2")})
        with pytest.raises(TrainyardError) as refusal:
            grid.points(spec_with(SPEC, _KNOWN))
        reported = {problem.path: problem for problem in refusal.value.problems}
        assert set(reported) == {"set.rate", "set.batch", "set.augment", "set.lr"}
        assert reported["set.rate"].hint == "Set one of lr, batch, net, augment."
        assert "whole number" in reported["set.batch"].message

    @pytest.mark.parametrize("field", ["lr", "=1", "lr=", "lr=1,,2", "lr=1,1"])
    def test_a_field_that_cannot_be_read_is_refused(self, field):
        with pytest.raises(TrainyardError) as refusal:
            read_grid([field])
        assert (refusal.value.code.code, refusal.value.problems[0].seen) == ("C110", field)

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ('net="128,64",256', ("128,64", "256")),
            ('net="128,64"', ("128,64",)),
            ('net= "a ""b"", c" , d', ('a "b", c', "d")),
            ('net=say "hi",x', ('say "hi"', "x")),
            ("net='a,b'", ("'a", "b'")),
        ],
    )
    def test_a_value_with_a_comma_stands_in_double_quotes(self, field, values):
        grid = read_grid([field])
        assert grid.values == {"net": values}
        assert grid.size == len(values)
        assert [point["net"] for point in grid.points(spec_with(SPEC, {"net": "64,32"}))] == list(values)

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("net=[mlp, cnn]", ["mlp", "cnn"]),
            ('net=["128,64", 256]', ["128,64", "256"]),
            ('net="[mlp, cnn]"', ["[mlp, cnn]"]),
            ("net=[mlp", ["[mlp"]),
            ("batch=1..4", [1, 2, 3, 4]),
            ("batch=32..1024:log:6", [32, 64, 128, 256, 512, 1024]),
            ("batch=1..4:log:6", [1, 2, 3, 4]),
            ("lr=0.001..0.1:log:3", [0.001, 0.01, 0.1]),
            ("lr=0..1:5", [0.0, 0.25, 0.5, 0.75, 1.0]),
            ('net="1..4"', ["1..4"]),
        ],
    )
    def test_lists_and_ranges_are_the_values_that_they_stand_for(self, field, values):
        points = read_grid([field]).points(spec_with(SPEC, _KNOWN))
        assert [next(iter(point.values())) for point in points] == values

    @pytest.mark.parametrize(
        ("field", "hint"),
        [
            ("lr=0.001..0.1:log", "Write 0.001..0.1:log:5 for five values, or a search in the manifest."),
            ("lr=0.001..0.1", "Write 0.001..0.1:5 for five values, or a search in the manifest."),
            ("lr=1..2:many", "Write 1..2:5 or 1..2:log:5."),
            ("lr=1..2:1", "Write a number from 2 to 100."),
            ("lr=2..1", "Write it as 0.001..0.1:log:5, for five values."),
            ("lr=0..1:log:5", "Write it as 0.001..0.1:log:5, for five values."),
        ],
    )
    def test_a_range_without_its_values_is_refused_with_what_to_write(self, field, hint):
        with pytest.raises(TrainyardError) as refusal:
            read_grid([field])
        assert refusal.value.problems[0].hint == hint

    @pytest.mark.parametrize("field", ['net="128,64', 'net=1,"2', 'net=""', 'net="a","a"'])
    def test_quotes_that_make_no_values_are_refused_with_the_form(self, field):
        with pytest.raises(TrainyardError) as refusal:
            read_grid([field])
        assert "in double quotes: --set" in refusal.value.problems[0].hint

    def test_a_name_that_is_set_twice_is_refused(self):
        with pytest.raises(TrainyardError, match="1 problem"):
            read_grid(["lr=1", "lr=2"])

    def test_what_was_set_heads_the_manifest_and_stays_on_its_line(self):
        assert annotated("name: x\n", {"net": "a\nb: c"}) == "# net: a b: c (set with the submission)\nname: x\n"


class TestSubmittingSeveral:
    def test_a_grid_is_one_training_with_a_run_for_each_point(self, world):
        (made,) = _submit(world, _TUNED, experiment="rates", grid=read_grid(["lr=0.1,0.01", "batch=32"]))
        kept = world.catalogue.get(made.id)
        assert kept == made
        assert (kept.experiment, kept.spec.name) == ("rates", "tf-mnist")
        assert (kept.runs[0], len(kept.runs)) == (made.id, 2)
        assert (world.catalogue.ids(), set(world.vault.kept)) == ({made.id}, {made.id})
        given = [world.catalogue.values_of(RunKey(made.id, run), None) for run in kept.runs]
        assert given == [{"lr": 0.1, "batch": 32}, {"lr": 0.01, "batch": 32}]
        assert [kept.of_run(values).spec.hyperparameters["lr"] for values in given] == [0.1, 0.01]
        starts = [world.catalogue.starts.get(run) for run in kept.runs]
        assert starts[0].started_at < starts[1].started_at
        assert {start.owner for start in starts} == {"ada"}

    def test_airflow_makes_the_first_run_of_a_grid_and_the_service_the_others(self, world):
        (made,) = _submit(world, _TUNED, grid=read_grid(["lr=1,2,3"]))
        assert set(world.catalogue.starts.pending()) == set(made.runs[1:])
        assert world.catalogue.expected() == {RunKey(made.id, run) for run in made.runs}

    def test_one_value_is_set_in_the_training_itself(self, world):
        (made,) = _submit(world, _TUNED, grid=read_grid(["lr=0.1"]))
        assert (made.first_runs, made.spec.hyperparameters["lr"]) == ((made.id,), 0.1)
        assert "# lr: 0.1" in made.manifest
        assert world.catalogue.starts.all() == {}

    def test_several_manifests_are_several_trainings_in_their_order(self, world):
        made = _submit(world, _TUNED, _TUNED, grid=read_grid(["lr=1,2"]))
        assert [len(one.runs) for one in made] == [2, 2]
        starts = [world.catalogue.starts.get(run) for one in made for run in one.runs]
        assert sorted(starts, key=lambda start: start.started_at) == starts
        assert {world.catalogue.zip_path(one.id).read_bytes() for one in made} == {world.zip.read_bytes()}

    def test_a_hundred_runs_are_registered_in_a_second(self, world):
        began = time.process_time()
        (made,) = _submit(world, _TUNED, grid=read_grid(["lr=0.001..1:log:10", "batch=1..10"]))
        assert len(made.runs) == 100
        assert time.process_time() - began < 2  # measured 0.2 s on an idle machine

    def test_the_same_key_again_is_the_same_runs(self, world):
        def submit():
            named = [("", _TUNED.encode())]
            grid = read_grid(["lr=1,2"])
            return world.service.registration.submit_all(named, world.zip, "vision", ADA, "", grid, origin="key")

        assert submit() == submit()
        assert len(world.catalogue.ids()) == 1


class TestSubmittingASearch:
    _SEARCH = (
        _TUNED
        + "search:\n  metric: acc\n  goal: maximize\n  trials: 9\n  space: {lr: {low: 0.1, high: 1.0}, deep: [1, 2]}\n"
    )

    def test_it_is_one_training_whose_first_trial_has_its_point(self, world):
        (made,) = _submit(world, self._SEARCH, experiment="tuning")
        start = world.catalogue.starts.get(made.id)
        assert (start.trial, start.key) == (0, RunKey.first_of(made.id))
        assert 0.1 <= start.values["lr"] <= 1.0
        assert made.spec.hyperparameters == {"lr": 0.5, "batch": 16, "net": "cnn", "deep": 1}
        ledgers = Ledgers(world.catalogue.folder / SEARCHES)
        assert ledgers.active() == {made.id}
        assert ledgers.get(made.id).asked == 1

    def test_with_its_training_everything_of_it_goes(self, world):
        (made,) = _submit(world, self._SEARCH)
        world.service.forget_training(made.id)
        ledgers = Ledgers(world.catalogue.folder / SEARCHES)
        assert (ledgers.ids(), ledgers.active(), world.catalogue.starts.all()) == (set(), set(), {})

    @pytest.mark.parametrize(
        ("text", "grid", "message"),
        [
            (_SEARCH, ["batch=1,2"], "a search and several values to set are both given."),
            (_SEARCH + "  sampler: gp\n", [], "the sampler gp needs the package torch"),
        ],
    )
    def test_what_cannot_be_searched_is_refused(self, world, text, grid, message):
        with pytest.raises(TrainyardError) as refusal:
            _submit(world, text, grid=read_grid(grid))
        assert refusal.value.problems[0].message.startswith(message)

    def test_a_sampler_whose_package_is_there_is_taken(self, world, tmp_path, monkeypatch):
        (tmp_path / "torch.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        (made,) = _submit(world, self._SEARCH + "  sampler: gp\n")
        assert 0.1 <= world.catalogue.starts.get(made.id).values["lr"] <= 1.0


class TestSubmittingTogether:
    def test_every_fault_of_every_manifest_is_told_with_its_name(self, world):
        large = MANIFEST_TEXT.replace("resource: small", "resource: gigantic")
        with pytest.raises(TrainyardError) as refusal:
            _submit(world, MANIFEST_TEXT, large, MANIFEST_TEXT.replace("bucket: training-data", "bucket: ''"))
        assert {problem.file for problem in refusal.value.problems} == {"job-1.yaml", "job-2.yaml"}
        assert world.catalogue.ids() == set()
        assert world.vault.kept == {}

    def test_when_one_of_them_cannot_be_kept_none_is(self, world, monkeypatch):
        keep = world.vault.keep

        def sometimes(training_id, submission):
            keep(training_id, submission)
            if len(world.vault.kept) == 3:
                raise OSError("the disk is full")

        monkeypatch.setattr(world.vault, "keep", sometimes)
        with pytest.raises(OSError, match="full"):
            _submit(world, *[_TUNED] * 4, grid=read_grid(["lr=1,2"]))
        assert [path for path in world.catalogue.folder.rglob("*") if path.is_file()] == []
        assert world.vault.kept == {}

    @pytest.mark.parametrize("manifests", [0, 101])
    def test_only_1_to_100_runs_are_taken_at_once(self, world, manifests):
        with pytest.raises(TrainyardError, match=f"make {manifests} runs") as refusal:
            _submit(world, *[MANIFEST_TEXT] * manifests)
        assert refusal.value.code.code == "C110"

    def test_a_grid_that_is_too_large_is_refused_before_it_is_made(self, world):
        thousand = ",".join(map(str, range(1000)))
        with pytest.raises(TrainyardError, match="make 1000000000 runs"):
            _submit(world, _TUNED, grid=read_grid([f"{name}={thousand}" for name in ("lr", "batch", "net")]))

    @pytest.mark.parametrize("name", [" x", "x\n", "x" * 81, "\x1b[31m"])
    def test_a_name_that_no_experiment_can_have_is_refused(self, world, name):
        with pytest.raises(TrainyardError, match="no experiment"):
            _submit(world, MANIFEST_TEXT, experiment=name)


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "taken"),
        [
            (Filter(), True),
            (Filter(experiment="rates"), True),
            (Filter(experiment="rate"), False),
            (Filter(framework="TensorFlow"), True),
            (Filter(framework="tensorflow 2.16"), True),
            (Filter(framework="tensorflow 2.1"), False),
            (Filter(framework="tensor"), False),
            (Filter(experiment="rates", framework="pytorch"), False),
        ],
    )
    def test_a_training_is_taken_if_all_of_it_fits(self, wanted, taken):
        there = training(experiment="rates", framework=Framework("tensorflow", "2.16"))
        assert wanted.takes(there) is taken

    @pytest.mark.parametrize(("name", "fits"), [("", True), ("MNI", True), ("cifar", False)])
    def test_a_name_is_a_part_in_any_case(self, name, fits):
        assert Filter(name=name).names("tf-mnist") is fits

    def test_what_a_filter_does_not_take_is_not_asked_of_the_history(self, world):
        made = [*_submit(world, MANIFEST_TEXT, experiment="rates"), *_submit(world, MANIFEST_TEXT)]
        for one in made:
            queued = Run(one.id, one.id, "tf", "vision", "tf", 1, Phase.QUEUED, 1000.0)
            world.service.history.runs[one.id] = queued

        def found(caller):
            page, total = world.service.runs(caller, 10, 0, Filter(experiment="rates"))
            return [run.model_id for run in page], total

        assert found(ADA) == found(Caller("root", admin=True)) == ([made[0].id], 1)
        assert found(Caller("mallory")) == ([], 0)
