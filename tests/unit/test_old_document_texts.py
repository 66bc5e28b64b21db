"""Training definitions and experiments of 2018 are read as they are, or every fault of one is reported at once."""

from __future__ import annotations

import json
import re

import pytest
from manifest_samples import change, limits
from readmanifest import read_manifest
from realmanifests import source

from trainyard.domain.documents import Compute, Definition, Experiment, definition_id_of
from trainyard.domain.search import Choices, Goal, Pruner, Real, Sampler, Whole
from trainyard.domain.training import Framework
from trainyard.errors import TrainyardError
from trainyard.manifest.composing import Keys, compose
from trainyard.manifest.document import read_document
from trainyard.manifest.olddocuments import Reading, examine_definition, read_experiment

ID = "5b21ea03-0936-4829-a96c-946638e84d6d"
DEFINITION = """\
name: tf-mnist
description: Digits.
framework:
  name: tensorflow
  version: "1.5"
  runtimes: {name: python, version: "3.5"}
command: python3 train.py
training_data_reference:
- name: data
  connection: {endpoint_url: https://s3.example.com, access_key_id: AKIA1, secret_access_key: sEcReT/1}
  source: {bucket: mnist-data, type: s3}
"""
EXPERIMENT = f"""\
settings:
  name: Digits
  description: Learning rates.
  author: {{name: Ada Lovelace, email: ada@example.com}}
  evaluation_definition: {{method: multiclass, metrics: [{{name: accuracy, maximize: true}}]}}
training_references:
- name: model1
  training_definition_url: https://ibm-watson-ml.mybluemix.net/v3/ml_assets/training_definitions/{ID}
  compute_configuration: {{name: k80}}
  hyper_parameters_optimization:
    method:
      name: random
      parameters:
      - {{name: objective, string_value: accuracy}}
      - {{name: maximize_or_minimize, string_value: maximize}}
      - {{name: num_optimizer_steps, int_value: 4}}
    hyper_parameters:
    - {{name: learning_rate, double_range: {{min_value: 0.005, max_value: 0.01, step: 0.001}}}}
    - {{name: fc, int_range: {{min_value: 5, max_value: 10, power: 2}}}}
    - {{name: optimizer, string_values: [sgd, adam]}}
training_results_reference:
  name: results
  connection: {{endpoint_url: https://s3.example.com, access_key_id: AKIA2, secret_access_key: sEcReT/2}}
  target: {{bucket: mnist-models}}
  type: s3
"""
REAL_DEFINITIONS = (
    "CHATTG1__PredictiveModeling__ml_dlaas_working_with_training_definitions-block1@2eff1759.yml",
    "CHATTG1__PredictiveModeling__ml_dlaas_working_with_training_definitions-block1@6a5f0a10.yml",
    "pmservice__wml-sample-models__tensorflow-hand-written-digit-recognition-meta-tf-train-hpo@b3c113d8.yml",
    "pmservice__wml-sample-models__tensorflow-hand-written-digit-recognition-meta-tf-train-hpo@bc33e7a4.yml",
    "pmservice__wml-sample-models__tensorflow-hpo-hand-written-digits-meta-tf-train.yml",
)
REAL_EXPERIMENTS = (
    "CHATTG1__PredictiveModeling__ml_dlaas_hpo-block2@2eff1759.yml",
    "CHATTG1__PredictiveModeling__ml_dlaas_working_with_experiments-block1@2eff1759.yml",
    "pmservice__wml-sample-models__tensorflow-hand-written-digit-recognition-meta-experiments-hpo@be7a7ce7.yml",
)


def rules():
    return Reading(limits(), limits().accounts["default"])


def definition(text=DEFINITION):
    found = examine_definition(text.encode(), rules())
    if found.problems:
        raise TrainyardError.refused(found.problems)
    return found.read


def experiment(text=EXPERIMENT):
    return read_experiment(text.encode(), rules())


def refused(read, text):
    with pytest.raises(TrainyardError) as caught:
        read(text)
    return caught.value.problems


def searched(text=EXPERIMENT):
    """Return the search that the first training of an experiment comes to, as a manifest of today reads it."""
    found, program = experiment(text), definition()
    keys = Keys(program.data, found.results)
    manifest = compose(found.experiment, found.experiment.references[0], program.definition, keys)
    return read_manifest(manifest, limits()).submission.spec


def parameter(text):
    return searched(change(EXPERIMENT, "{name: optimizer, string_values: [sgd, adam]}", f"{{name: x, {text}}}")).search


def filled(name):
    """Return a real document with its placeholders filled in, as its author had to."""
    text = re.sub(r"<REPLACE WITH UUID>|(?<=definitions/)[0-9a-f]{8}-[0-9a-f-]+", ID, source(name))
    text = re.sub(r"(endpoint_url: *).*", r"\1https://s3.example.com", text)
    text = re.sub(r"((?:access_key_id|secret_access_key): *).*", r"\1abcdef", text)
    return re.sub(r"bucket: <.*", "bucket: results", text)


class TestDefinitions:
    @pytest.mark.parametrize("name", REAL_DEFINITIONS)
    def test_every_real_one_is_read(self, name):
        found = definition(filled(name)).definition
        assert found.framework.name == "tensorflow"
        assert found.data.kind == "s3"
        assert bool(found.command) == ("6a5f0a10" not in name)

    def test_it_says_what_an_experiment_needs(self):
        found = definition()
        assert found.definition.framework == Framework("tensorflow", "1.5-py3")
        assert (found.definition.name, found.definition.command) == ("tf-mnist", "python3 train.py")
        assert found.definition.compute is None
        assert (found.data.user, found.data.secret) == ("AKIA1", "sEcReT/1")
        assert "sEcReT" not in found.masked

    def test_command_and_size_may_stand_in_execution(self):
        execution = "execution: {command: python3 train.py, compute_configuration: {name: k80x2}}"
        found = definition(change(DEFINITION, "command: python3 train.py", execution)).definition
        assert (found.command, found.compute) == ("python3 train.py", Compute("k80x2"))

    def test_json_is_as_good(self):
        data = read_document(DEFINITION.encode(), 2**20).data
        assert definition(json.dumps(data)).definition == definition().definition

    def test_it_comes_back_from_its_record(self):
        found = definition().definition
        assert Definition.from_dict(json.loads(json.dumps(found.as_dict()))) == found

    def test_all_its_faults_are_reported_at_once(self):
        text = change(DEFINITION, '"1.5"', '"99"').replace("AKIA1", "<username>").replace("command:", "comand:")
        found = refused(definition, text)
        assert [(problem.path, problem.line) for problem in found] == [
            ("framework.version", 5),
            ("comand", 7),
            ("training_data_reference[0].connection.access_key_id", 10),
        ]
        assert all(problem.hint for problem in found)

    def test_a_size_that_the_account_has_not_is_refused(self):
        text = DEFINITION + "execution: {compute_configuration: {name: k80x9}}\n"
        assert [problem.path for problem in refused(definition, text)] == ["execution.compute_configuration.name"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (EXPERIMENT, "this is an experiment"),
            ("model_definition: {}\n", "this is the manifest of a training"),
            ("gpus: 1\ncpus: 2\n", "this is the manifest of a training"),
            ("- a\n", "the file is a list"),
        ],
    )
    def test_another_kind_of_file_is_refused_by_its_name(self, text, words):
        (problem,) = refused(definition, text)
        assert words in problem.message


class TestExperiments:
    @pytest.mark.parametrize("name", REAL_EXPERIMENTS)
    def test_every_real_one_is_read(self, name):
        found = experiment(filled(name))
        assert {reference.definition_id for reference in found.experiment.references} == {ID}
        assert all(reference.compute == Compute("k80") for reference in found.experiment.references)

    def test_the_stray_quote_of_published_samples_is_read_with_a_warning(self):
        found = experiment(filled(REAL_EXPERIMENTS[0]))
        assert found.experiment.references[0].search["space"]["learning_rate"]["step"] == 0.001
        assert found.warnings == ('line 30: step" is read as step',)

    def test_it_comes_back_from_its_record(self):
        found = experiment().experiment
        assert Experiment.from_dict(json.loads(json.dumps(found.as_dict()))) == found

    def test_its_secrets_are_in_nothing_that_is_kept(self):
        found = experiment()
        assert found.results.secret == "sEcReT/2"
        assert "sEcReT" not in found.masked + json.dumps(found.experiment.as_dict())

    def test_all_its_faults_are_reported_at_once(self):
        text = change(EXPERIMENT, "min_value: 5, max_value: 10", "min_value: 10, max_value: 5")
        text = change(text, "maximize_or_minimize, string_value: maximize", "maximize_or_minimize, string_value: max")
        text = change(text, f"training_definitions/{ID}", "training_definitions/<REPLACE WITH UUID>")
        at = "training_references[0].hyper_parameters_optimization"
        assert [problem.path for problem in refused(experiment, text)] == [
            "training_references[0].training_definition_url",
            f"{at}.method.parameters[1].string_value",
            f"{at}.hyper_parameters[1].int_range.max_value",
        ]

    def test_a_manifest_is_refused_by_its_name(self):
        (problem,) = refused(experiment, "model_definition: {}\n")
        assert problem.message == "this is the manifest of a training, not an experiment."

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            (ID, ID),
            (f" {ID.upper()} ", ID),
            (f"/v3/training_definitions/{ID}", ID),
            (f"https://host.example.com/v3/ml_assets/training_definitions/{ID}/versions/{ID[::-1]}", ID),
            (f"https://host.example.com/v3/models/{ID}", None),
            ("../../../etc/passwd", None),
            (f"{ID}/../{ID}", None),
            ("model1", None),
        ],
    )
    def test_a_definition_is_named_by_its_id_or_an_address(self, address, found):
        assert definition_id_of(address) == found


class TestSearches:
    def test_a_search_becomes_one_of_today(self):
        spec = searched()
        search = spec.search
        assert (search.metric, search.goal, search.trials) == ("accuracy", Goal.MAXIMIZE, 4)
        assert (search.sampler, search.pruner) == (Sampler.RANDOM, Pruner.NONE)
        assert search.space == {
            "learning_rate": Real(0.005, 0.01, step=0.001),
            "fc": Whole(5, 10, power=2),
            "optimizer": Choices(("sgd", "adam")),
        }
        assert search.space["learning_rate"].all() == (0.005, 0.006, 0.007, 0.008, 0.009, 0.01)
        assert search.space["fc"].all() == (32, 64, 128, 256, 512, 1024)
        assert spec.hyperparameters == {"learning_rate": 0.005, "fc": 32, "optimizer": "sgd"}

    @pytest.mark.parametrize(
        ("method", "sampler", "pruner"),
        [
            ("random", Sampler.RANDOM, Pruner.NONE),
            ("rbfopt", Sampler.TPE, Pruner.NONE),
            ("hyperband", Sampler.RANDOM, Pruner.HYPERBAND),
            ("bandit", Sampler.RANDOM, Pruner.HYPERBAND),
        ],
    )
    def test_every_method_of_old_has_its_sampler(self, method, sampler, pruner):
        search = searched(change(EXPERIMENT, "name: random", f"name: {method}")).search
        assert (search.sampler, search.pruner) == (sampler, pruner)

    def test_rbfopt_with_fewer_runs_than_hyperparameters_searches_at_random(self):
        text = change(EXPERIMENT, "name: random", "name: rbfopt")
        assert searched(change(text, "int_value: 4", "int_value: 2")).search.sampler is Sampler.RANDOM

    @pytest.mark.parametrize("value", ["int_value: 4", "double_value: 4.0", 'string_value: "4"'])
    def test_the_number_of_runs_may_stand_under_any_of_the_keys(self, value):
        assert searched(change(EXPERIMENT, "int_value: 4", value)).search.trials == 4

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("int_range: {min_value: 1, max_value: 9, step: 2}", (1, 3, 5, 7, 9)),
            ("int_range: {min_value: 1, max_value: 3}", (1, 2, 3)),
            ("int_range: {min_value: 5, max_value: 5}", (5,)),
            ("int_range: {min_value: 3, max_value: 3, power: 2}", (8,)),
            ("int_range: {min_value: 2, max_value: 6, step: 2, power: 2.0}", (4, 16, 64)),
            ("double_range: {min_value: -3, max_value: -1, power: 10}", (0.001, 0.01, 0.1)),
            ("int_values: [16, 64]", (16, 64)),
            ("double_values: [1, 0.5]", (1.0, 0.5)),
            ("string_values: [adam, 3, true]", ("adam", "3", "true")),
        ],
    )
    def test_ranges_and_lists_have_the_values_that_they_had(self, text, found):
        values = parameter(text).space["x"].all()
        assert values == pytest.approx(found) if isinstance(found[0], float) else values == found
        assert [type(value) for value in values] == [type(value) for value in found]

    def test_a_range_without_a_step_is_continuous(self):
        assert parameter("double_range: {min_value: 0.1, max_value: 1}").space["x"] == Real(0.1, 1.0)

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("int_range: {min_value: 5, max_value: 1}", "int_range.max_value"),
            ("int_range: {min_value: 1, max_value: 5, step: 0}", "int_range.step"),
            ("int_range: {min_value: 1, max_value: 5, step: 9}", "int_range.step"),
            ("int_range: {min_value: 1, max_value: 5, power: 1}", "int_range.power"),
            ("int_range: {min_value: 1, max_value: 5000, power: 10}", "int_range.max_value"),
            ("int_range: {min_value: 0.5, max_value: 5}", "int_range.min_value"),
            ("int_values: [1, 1]", "int_values"),
            ("int_values: []", "int_values"),
            ("string_values: [a], int_values: [1]", "string_values"),
            ("int_rage: {min_value: 1}", "int_rage"),
        ],
    )
    def test_a_range_that_cannot_be_is_refused_where_it_stands(self, text, path):
        changed = change(EXPERIMENT, "{name: optimizer, string_values: [sgd, adam]}", f"{{name: x, {text}}}")
        found = refused(experiment, changed)
        paths = [problem.path for problem in found]
        assert f"training_references[0].hyper_parameters_optimization.hyper_parameters[2].{path}" in paths
        assert all(problem.line == 20 for problem in found)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("name: fc", "name: learning_rate", "there twice"),
            ("name: fc", "name: 3fc", "environment variable"),
            ("name: fc", "name: PATH", "every program"),
            ("name: objective", "name: objektive", "no parameter"),
            ("      - {name: objective, string_value: accuracy}\n", "", "objective is missing"),
            ("string_value: accuracy", "string_value: ''", "no value"),
            ("int_value: 4", "int_value: 0", "no number of runs"),
            ("int_value: 4", "int_value: many", "no number of runs"),
            ("int_value: 4", "int_value: 4, double_value: 4", "two values"),
            ("name: random", "name: bayes", "name cannot be this"),
        ],
    )
    def test_a_search_that_cannot_be_is_refused_in_a_sentence(self, old, new, words):
        messages = [problem.message for problem in refused(experiment, change(EXPERIMENT, old, new))]
        assert any(words in message for message in messages), messages
