"""Stored training definitions and experiments: kept whole or not at all, each for one account, and run."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from samples import LIMITS, MODEL_ID
from service_fakes import Events
from serviceworld import ADA, GRACE, MALLORY, ROOT, SECRET, packed, world  # noqa: F401 - fixtures

from trainyard.core.documents.documents import Documents
from trainyard.core.documents.experimentruns import ExperimentRuns
from trainyard.core.documents.files import DocumentFiles, Kind
from trainyard.core.runs import Run
from trainyard.core.search.deciding import Ledger
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase, State
from trainyard.errors import TrainyardError

DEFINITION = f"""\
name: tf-mnist
framework: {{name: tensorflow, version: "2.16"}}
command: python3 train.py --data ${{DATA_DIR}}
training_data_reference:
- connection:
    endpoint_url: https://objects.example.com
    access_key_id: AKIA5B1C0FFEE
    secret_access_key: {SECRET}
  source: {{bucket: training-data, type: s3}}
"""
EXPERIMENT = f"""\
settings: {{name: Rates}}
training_references:
- name: first
  training_definition_url: https://host.example.com/v3/ml_assets/training_definitions/ID
  compute_configuration: {{name: small}}
- name: second
  training_definition_url: ID
  command: python3 train.py --fast
  compute_configuration: {{name: tiny}}
training_results_reference:
  connection:
    endpoint_url: https://objects.example.com
    access_key_id: AKIA5B1C0FFEE
    secret_access_key: {SECRET}
  target: {{bucket: training-results}}
  type: s3
"""
SEARCH = """\
  hyper_parameters_optimization:
    method:
      name: random
      parameters:
      - {name: objective, string_value: accuracy}
      - {name: maximize_or_minimize, string_value: maximize}
      - {name: num_optimizer_steps, int_value: 4}
    hyper_parameters:
    - {name: lr, double_values: [0.1, 0.2]}
"""


class DocumentVault:
    """Keeps credentials of documents in memory."""

    def __init__(self):
        self.kept = {}
        self.broken = False

    def keep(self, kind, document_id, stores):
        if self.broken:
            raise OSError("the database is locked")
        self.kept |= {(kind, document_id, side): keys for side, (_, keys) in stores.items()}

    def read(self, kind, document_id, side):
        return self.kept.get((kind, document_id, side))

    def forget(self, kind, document_id):
        self.kept = {key: keys for key, keys in self.kept.items() if key[:2] != (kind, document_id)}

    def ids(self):
        return {document_id: kind for kind, document_id, _ in self.kept}


@pytest.fixture
def yard(world, packed):  # noqa: F811
    """The use cases over fakes, with what is stored in `files`."""
    world.events = Events()
    world.service = replace(world.service, audit=world.events.audit)
    world.documents = Documents(
        DocumentFiles(world.catalogue.folder),
        DocumentVault(),
        lambda: LIMITS,
        world.service.settings,
        world.service.clock,
        world.events.audit,
    )
    ledgers, world.ended_searches = Ledgers(world.catalogue.folder / SEARCHES), []
    world.searching = SimpleNamespace(ledgers=ledgers, cancel=lambda name, caller: world.ended_searches.append(name))
    world.runs = ExperimentRuns(world.documents, world.service, world.searching)
    world.zip = packed()
    return world


def define(yard, text=DEFINITION, account="vision", caller=ADA, key=""):
    return yard.documents.store_definition(text.encode(), yard.zip, account, caller, key)


def experiment(yard, text=EXPERIMENT, account="vision", caller=ADA, key=""):
    """Store an experiment of a definition that is stored, too."""
    text = text.replace("ID", define(yard, account=account, caller=caller).id, 2) if "ID\n" in text else text
    return yard.documents.store_experiment(text.encode(), account, caller, key)


def runs_of(yard, stored):
    """Return the runs of an experiment."""
    return yard.runs.all(stored.id, ADA, 10, 0)[0]


def started(yard, run):
    """Let the trainings of an experiment's run be runs, as Airflow does within moments."""
    for record in yard.catalogue.trainings():
        if record.experiment == run.experiment:
            yard.history.runs[record.id] = Run(
                record.id, record.id, record.spec.name, record.account, "", 1, Phase.QUEUED, record.submitted_at
            )


def everything(yard):
    return [path.read_bytes() for path in yard.catalogue.folder.rglob("*") if path.is_file()]


def deleted_trainings(yard):
    return {mark.training_id for mark in yard.catalogue.deletions.all()}


class TestStoring:
    def test_a_definition_is_kept_with_its_zip_and_without_its_secrets(self, yard):
        made = define(yard)
        assert yard.documents.one(Kind.DEFINITION, made.id, ADA) == made
        assert yard.documents.files.zip_path(made.id).read_bytes() == yard.zip.read_bytes()
        assert made.version_id != made.id
        assert not [data for data in everything(yard) if SECRET.encode() in data]
        assert yard.documents.vault.read(Kind.DEFINITION, made.id, "data").secret == SECRET

    def test_a_definition_whose_program_is_not_in_the_zip_is_refused(self, yard, packed):  # noqa: F811
        yard.zip = packed(other="print(1)")
        with pytest.raises(TrainyardError) as caught:
            define(yard, DEFINITION.replace('"2.16"', '"9.9"'))
        assert [problem.code for problem in caught.value.problems] == ["C101", "C102"]
        assert everything(yard) == []

    def test_nothing_is_kept_where_the_credentials_cannot_be(self, yard):
        yard.documents.vault.broken = True
        with pytest.raises(OSError, match="locked"):
            define(yard)
        assert [path.name for path in yard.documents.files.folder.rglob("*") if path.is_file()] == [".lock"]

    def test_the_same_key_gets_the_same_definition(self, yard):
        made = define(yard, key="once")
        assert define(yard, key="once") == made
        assert define(yard, key="twice") != made
        with pytest.raises(TrainyardError, match="another document"):
            define(yard, DEFINITION.replace("tf-mnist", "other"), key="once")

    def test_an_experiment_is_kept_with_its_definitions_looked_up(self, yard):
        made = experiment(yard)
        assert [each.id for each in yard.documents.all(Kind.EXPERIMENT, ADA)] == [made.id]
        assert yard.documents.one(Kind.EXPERIMENT, made.id, ADA) == made
        assert not [data for data in everything(yard) if SECRET.encode() in data]

    def test_an_experiment_with_an_unknown_definition_is_refused_where_it_names_it(self, yard):
        text = EXPERIMENT.replace("ID", "5b21ea03-0936-4829-a96c-946638e84d6d")
        with pytest.raises(TrainyardError) as caught:
            experiment(yard, text)
        places = [(problem.path, problem.line) for problem in caught.value.problems]
        assert places == [
            ("training_references[0].training_definition_url", 4),
            ("training_references[1].training_definition_url", 7),
        ]

    def test_every_training_of_an_experiment_is_checked_as_a_submission_is(self, yard):
        text = EXPERIMENT.replace("train.py --fast", "missing.py").replace("{name: small}", "{name: large}")
        with pytest.raises(TrainyardError) as caught:
            experiment(yard, text.replace("vision", "speech"), account="speech", caller=GRACE)
        found = [(problem.code, problem.path) for problem in caught.value.problems]
        assert found == [
            ("C104", "training_references[0].compute_configuration"),
            ("C102", "training_references[1].training_definition_url"),
        ]
        assert yard.documents.all(Kind.EXPERIMENT, ROOT) == []

    def test_what_nobody_gives_is_missing(self, yard):
        made = define(yard, DEFINITION.replace("command: python3 train.py --data ${DATA_DIR}\n", ""))
        text = EXPERIMENT.replace("ID", made.id).replace("  compute_configuration: {name: tiny}\n", "")
        with pytest.raises(TrainyardError) as caught:
            experiment(yard, text)
        found = [(problem.message.partition(":")[0], problem.line) for problem in caught.value.problems]
        assert found == [("command is missing", 4), ("compute_configuration is missing", 7)]

    def test_a_list_reads_nothing_of_what_documents_say(self, yard):
        made = define(yard)
        for path in yard.documents.files.folder.rglob("*.details"):
            path.write_text("{")
        (found,) = yard.documents.all(Kind.DEFINITION, ADA)
        assert (found.id, found.name, found.text, found.content) == (made.id, "tf-mnist", "", {})
        with pytest.raises(TrainyardError, match="there is no"):
            yard.documents.one(Kind.DEFINITION, made.id, ADA)

    def test_broken_records_hide_no_others(self, yard):
        made = define(yard)
        (yard.documents.files.folder / Kind.DEFINITION / "broken.json").write_text("{")
        assert [each.id for each in yard.documents.all(Kind.DEFINITION, ADA)] == [made.id]


class TestAccounts:
    def test_a_document_of_another_account_does_not_exist(self, yard):
        made, stored = define(yard), experiment(yard)
        asked = [
            lambda: yard.documents.one(Kind.DEFINITION, made.id, MALLORY),
            lambda: yard.documents.delete(Kind.DEFINITION, made.id, MALLORY),
            lambda: yard.documents.delete(Kind.EXPERIMENT, stored.id, MALLORY),
            lambda: yard.runs.start(stored.id, MALLORY),
            lambda: yard.runs.all(stored.id, MALLORY, 10, 0),
            lambda: yard.documents.one(Kind.DEFINITION, stored.id, ADA),
            lambda: yard.documents.one(Kind.DEFINITION, "../experiments/" + stored.id, ADA),
        ]
        for ask in asked:
            with pytest.raises(TrainyardError, match="there is no") as caught:
                ask()
            assert caught.value.code.code == "C107"
        assert yard.documents.all(Kind.DEFINITION, MALLORY) == []
        assert len(yard.documents.all(Kind.DEFINITION, ROOT)) == 2

    def test_an_experiment_names_definitions_of_its_own_account_alone(self, yard):
        text = EXPERIMENT.replace("ID", define(yard, account="vision", caller=GRACE).id)
        with pytest.raises(TrainyardError) as caught:
            experiment(yard, text, account="speech", caller=GRACE)
        assert "account speech has no training definition" in caught.value.problems[0].message

    def test_what_is_stored_run_and_deleted_is_recorded(self, yard):
        stored = experiment(yard)
        yard.runs.start(stored.id, ADA)
        yard.documents.delete(Kind.EXPERIMENT, stored.id, ADA)
        seen = [each for each in yard.events.seen("action", "actor", "account", "result") if each[0] != "submit"]
        assert seen == [
            (action, "ada", "vision", "ok")
            for action in ("definition.store", "experiment.store", "experiment.run", "experiment.delete")
        ]


class TestRunning:
    def test_each_training_is_one_training_of_today_in_one_experiment(self, yard):
        run = yard.runs.start(experiment(yard).id, ADA)
        made = sorted(yard.catalogue.trainings(), key=lambda each: each.submitted_at)
        assert sorted(each.spec.name for each in made) == ["first", "second"]
        assert {each.experiment for each in made} == {run.experiment} == {f"Rates ({run.record.id[:8]})"}
        commands = {each.spec.name: yard.catalogue.get(each.id).spec.command for each in made}
        assert commands == {"first": "python3 train.py --data ${DATA_DIR}", "second": "python3 train.py --fast"}
        assert {each.spec.results.bucket for each in made} == {"training-results"}
        assert all(yard.vault.kept[each.id][0].secret == SECRET for each in made)
        assert not [data for data in everything(yard) if SECRET.encode() in data]

    def test_trainings_of_one_definition_share_its_zip(self, yard):
        yard.runs.start(experiment(yard).id, ADA)
        inodes = {yard.catalogue.zip_path(each.id).stat().st_ino for each in yard.catalogue.trainings()}
        assert len(inodes) == 1

    def test_a_second_run_is_another_experiment(self, yard):
        stored = experiment(yard)
        names = {yard.runs.start(stored.id, ADA).experiment for _ in range(2)}
        assert len(names) == 2
        assert {run.experiment for run in runs_of(yard, stored)} == names

    def test_the_same_key_runs_it_once(self, yard):
        stored = experiment(yard)
        first = yard.runs.start(stored.id, ADA, "once")
        assert yard.runs.start(stored.id, ADA, "once").record == first.record
        assert len(yard.catalogue.trainings()) == 2

    def test_a_run_whose_starter_died_goes_on_with_the_same_key(self, yard):
        stored = experiment(yard)
        yard.vault.broken = True
        with pytest.raises(OSError, match="locked"):
            yard.runs.start(stored.id, ADA, "once")
        yard.vault.broken = False
        run = yard.runs.start(stored.id, ADA, "once")
        assert len(yard.catalogue.trainings()) == 2
        assert [each.record for each in runs_of(yard, stored)] == [run.record]

    def test_a_definition_that_was_deleted_hinders_a_run_and_leaves_nothing(self, yard):
        stored = experiment(yard)
        (definition,) = yard.documents.all(Kind.DEFINITION, ADA)
        yard.documents.delete(Kind.DEFINITION, definition.id, ADA)
        with pytest.raises(TrainyardError, match="any more"):
            yard.runs.start(stored.id, ADA)
        assert yard.catalogue.trainings() == []
        assert runs_of(yard, stored) == []
        assert not [key for key in yard.documents.vault.kept if key[1] == definition.id]

    def test_its_state_is_that_of_its_trainings(self, yard):
        stored = experiment(yard)
        run = yard.runs.start(stored.id, ADA)
        started(yard, run)
        ids = list(yard.history.runs)

        def now(*outcomes):
            for model_id, outcome in zip(ids, outcomes, strict=True):
                phase = Phase.DONE if outcome is not None else Phase.TRAINING
                yard.history.runs[model_id] = replace(yard.history.runs[model_id], phase=phase, outcome=outcome)
            return yard.runs.one(stored.id, run.record.id, ADA).state

        done, failed, canceled = Outcome(), Outcome("C201"), Outcome("C204")
        assert yard.runs.one(stored.id, run.record.id, ADA).state is State.PENDING
        assert now(done, None) is State.RUNNING
        assert now(done, done) is State.COMPLETED
        assert now(done, failed) is State.ERROR
        assert now(done, canceled) is State.CANCELED

    def test_a_run_is_canceled_and_deleted_as_a_whole(self, yard):
        stored = experiment(yard)
        run = yard.runs.start(stored.id, ADA)
        started(yard, run)
        with pytest.raises(TrainyardError, match="still going"):
            yard.runs.delete(stored.id, run.record.id, ADA)
        assert yard.runs.cancel(stored.id, run.record.id, ADA).state is State.CANCELED
        yard.runs.delete(stored.id, run.record.id, ADA)
        assert runs_of(yard, stored) == []
        assert deleted_trainings(yard) == {each.id for each in yard.catalogue.trainings()} != set()

    def test_deleting_an_experiment_leaves_its_trainings(self, yard):
        stored = experiment(yard)
        yard.runs.start(stored.id, ADA)
        yard.documents.delete(Kind.EXPERIMENT, stored.id, ADA)
        assert len(yard.catalogue.trainings()) == 2
        assert not [key for key in yard.documents.vault.kept if key[1] == stored.id]
        assert not (yard.documents.files.folder / Kind.RUN / stored.id).exists()


class TestSearching:
    @pytest.fixture
    def search(self, yard):
        """An experiment of one training that is searched, and its run."""
        head, _, tail = EXPERIMENT.partition("- name: second")
        stored = experiment(yard, head + SEARCH + tail.partition("{name: tiny}\n")[2])
        return stored, yard.runs.start(stored.id, ADA)

    def test_a_search_of_2018_becomes_one_training_with_a_search(self, yard, search):
        (training,) = yard.catalogue.trainings()
        assert (training.spec.search.metric, training.spec.search.trials) == ("accuracy", 4)
        assert training.experiment == search[1].experiment
        assert yard.catalogue.starts.get(training.id).trial == 0
        assert yard.searching.ledgers.active() == {training.id}

    def test_it_goes_on_between_two_trials_and_is_not_failed_by_one(self, yard, search):
        stored, run = search
        started(yard, run)
        (training,) = yard.catalogue.trainings()

        def now(*outcomes, active=True):
            for number, outcome in enumerate(outcomes):
                first = yard.history.runs[training.id]
                model_id = training.id if number == 0 else f"training-00000000{number}"
                ended = replace(first, model_id=model_id, phase=Phase.DONE, outcome=outcome)
                yard.history.runs[model_id] = ended
            yard.searching.ledgers.keep(training.id, Ledger(), active=active)
            return yard.runs.one(stored.id, run.record.id, ADA).state

        assert yard.runs.one(stored.id, run.record.id, ADA).state is State.PENDING
        assert now(Outcome()) is State.RUNNING
        assert now(Outcome("C201"), Outcome(), active=False) is State.COMPLETED
        assert now(Outcome("C201"), Outcome("C201"), active=False) is State.ERROR

    def test_it_is_canceled_as_a_search_and_deleted_when_it_is_over(self, yard, search):
        stored, run = search
        started(yard, run)
        (training,) = yard.catalogue.trainings()
        yard.runs.cancel(stored.id, run.record.id, ADA)
        assert yard.ended_searches == [training.id]
        yard.history.runs[training.id] = replace(
            yard.history.runs[training.id], phase=Phase.DONE, outcome=Outcome("C204")
        )
        with pytest.raises(TrainyardError, match="still going"):
            yard.runs.delete(stored.id, run.record.id, ADA)
        yard.searching.ledgers.keep(training.id, Ledger(over="canceled"), active=False)
        yard.runs.delete(stored.id, run.record.id, ADA)
        assert deleted_trainings(yard) == {training.id}


class TestSweeping:
    def test_what_a_death_left_is_removed_once_it_is_old(self, yard):
        made, files = define(yard), yard.documents.files
        dead = replace(made, id="5b21ea03-0936-4829-a96c-946638e84d6d")
        files.keep_zip(dead.id, yard.zip)
        files.prepare(dead)
        yard.documents.vault.kept[Kind.DEFINITION, dead.id, "data"] = "keys"
        now = 2e9
        for path in files.unfinished():
            os.utime(path, (now, now))
        assert yard.documents.sweep(now - 1, dry_run=False) == []
        found = yard.documents.sweep(now + 1, dry_run=True)
        assert found == yard.documents.sweep(now + 1, dry_run=False)
        assert sorted(found) == [
            f"connections {dead.id}",
            f"document .{dead.id}.details",
            f"document .{dead.id}.json",
            f"document {dead.id}.zip",
        ]
        assert yard.documents.sweep(now + 1, dry_run=False) == []
        assert yard.documents.one(Kind.DEFINITION, made.id, ADA) == made
        assert yard.documents.vault.read(Kind.DEFINITION, made.id, "data")

    def test_a_document_whose_record_is_broken_keeps_its_credentials(self, yard):
        made = define(yard)
        define(yard)
        (yard.documents.files.folder / Kind.DEFINITION / f"{made.id}.json").write_text("{")
        assert yard.documents.sweep(2e9, dry_run=False) == []
        assert yard.documents.vault.read(Kind.DEFINITION, made.id, "data")

    def test_a_run_goes_with_the_last_of_its_trainings(self, yard):
        stored = experiment(yard)
        first, second = yard.runs.start(stored.id, ADA), yard.runs.start(stored.id, ADA)
        for training in yard.catalogue.trainings():
            if training.experiment == first.experiment:
                yard.catalogue.remove(training.id)
        assert yard.runs.sweep(2e9, dry_run=False) == [f"experiment run {first.record.id}"]
        assert [run.record for run in runs_of(yard, stored)] == [second.record]


def test_the_runs_of_an_experiment_are_those_of_its_account(yard):
    stored = experiment(yard)
    run = yard.runs.start(stored.id, ADA)
    started(yard, run)
    (other,) = (each for each in yard.catalogue.trainings() if each.spec.name == "first")
    yard.catalogue.add(replace(other, id=MODEL_ID, account="speech"))
    yard.history.runs[MODEL_ID] = replace(yard.history.runs[other.id], model_id=MODEL_ID, training_id=MODEL_ID)
    assert MODEL_ID not in {each.model_id for each in yard.runs.one(stored.id, run.record.id, ROOT).trainings}
