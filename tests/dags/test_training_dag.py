"""The DAG of a training, as Airflow sees it."""

from __future__ import annotations

import ast
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from late import Late
from samples import MODEL_ID, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.training import Author, Resources

pytestmark = pytest.mark.xdist_group("airflow")

bundles = Late("trainyard.airflow.bundle")
dags = Late("trainyard.airflow.dag")
sdk = Late("airflow.sdk")
serialized = Late("airflow.serialization.serialized_objects")
# Where Airflow tells a process that parses a file which task it is going to run.
_TASK_OF_PROCESS = "_AIRFLOW_PARSING_CONTEXT_TASK_ID"
_STEPS = ["validate", "stage", "train", "upload", "cleanup"]


def _dag(**changes):
    return dags.training_dag(training(**changes))


@pytest.fixture(scope="module")
def dag():
    return _dag(resources=Resources(size="large"))


def test_a_training_is_one_dag_whose_id_is_its_first_model_id(dag):
    assert dag.dag_id == MODEL_ID


def test_five_steps_follow_each_other(dag):
    assert [task.task_id for task in dag.topological_sort()] == _STEPS
    for before, after in pairwise(_STEPS):
        assert after in dag.get_task(before).downstream_task_ids


def test_results_are_stored_and_things_cleaned_up_whatever_happened(dag):
    assert [task_id for task_id in _STEPS if dag.get_task(task_id).is_teardown] == ["upload", "cleanup"]


def test_a_run_whose_results_were_not_stored_has_failed(dag):
    """The last step says so, because a run's end is that of its leaves."""
    assert dag.get_task("cleanup").on_failure_fail_dagrun


def test_the_train_task_owns_its_gpus_in_the_accounts_pool(dag):
    train = dag.get_task("train")
    assert (train.pool, train.pool_slots) == ("gpus-vision", 4)


def test_a_training_without_a_gpu_takes_one_slot_of_the_cpu_pool():
    train = _dag(resources=Resources(size="tiny")).get_task("train")
    assert (train.pool, train.pool_slots) == ("cpu", 1)


@pytest.mark.parametrize(("retries", "replaced"), [(None, 4), (0, 0), (9, 9)])
def test_a_lost_pod_is_replaced_as_often_as_manifest_or_setting_say_and_looked_for_some_times_more(
    monkeypatch, retries, replaced
):
    monkeypatch.setenv("TRAINYARD_POD_RETRIES", "4")
    assert _dag(retries=retries).get_task("train").retries == replaced + 5


@pytest.mark.parametrize(
    ("step", "pool"),
    [
        ("validate", "checks-vision"),
        ("stage", "transfers-vision"),
        ("upload", "transfers-vision"),
        ("cleanup", "cleanups-vision"),
    ],
)
def test_what_needs_no_gpu_takes_a_slot_of_its_own_account_and_no_gpu(dag, step, pool):
    assert (dag.get_task(step).pool, dag.get_task(step).pool_slots) == (pool, 1)


def test_checks_go_first_and_then_the_steps_of_the_runs_that_are_nearest_to_their_end(dag):
    kept = serialized.DagSerialization.from_dict(serialized.DagSerialization.to_dict(dag))
    steps = [kept.get_task(task_id) for task_id in _STEPS]
    weights = {step.task_id: step.weight_rule.get_weight(SimpleNamespace(task=step)) for step in steps}
    assert sorted(weights, key=weights.__getitem__) == ["stage", "train", "upload", "cleanup", "validate"]
    assert len(set(weights.values())) == len(weights)


def test_people_find_a_training_by_its_name_framework_account_and_author(dag):
    assert dag.dag_display_name == "tf-mnist"
    assert dag.description == "Digits."
    assert dag.tags == {
        "framework:tensorflow 2.16",
        "account:vision",
        "author:Ada Lovelace <ada@example.com>",
    }


def test_a_training_without_an_author_has_no_such_tag():
    assert _dag(author=None).tags == _dag(author=Author()).tags == {"framework:tensorflow 2.16", "account:vision"}


def test_a_long_author_is_cut_to_what_a_tag_can_hold():
    assert max(len(tag) for tag in _dag(author=Author("A" * 300)).tags) == 100


def test_the_documentation_shows_the_manifest_as_it_was_masked():
    assert "\n    password: ***\n" in _dag(manifest="connection:\n    password: ***\n").doc_md


def test_a_manifest_cannot_break_out_of_its_fence():
    documentation = _dag(manifest="name: x\n" + "`" * 30 + "\n# Not a heading\n").doc_md
    assert documentation.count("`" * 8) == 2


def test_a_manifest_that_ends_like_a_file_name_is_not_read_as_one():
    assert "README.md" in _dag(manifest="README.md", description="docs/README.md").doc_md


def test_a_training_runs_once_at_its_submission_without_being_switched_on(dag):
    assert dag.timetable.first_id == MODEL_ID
    assert dag.timetable.first_at == training().submitted_at
    assert dag.is_paused_upon_creation is False
    assert dag.catchup is False


def test_nothing_that_a_person_wrote_is_a_template():
    command = "python3 train.py {{ ds }} {% raw %} ${DATA_DIR} {{ conn.aws.password }}"
    train = _dag(command=command, name="{{ var.value.secret }}").get_task("train")
    train.render_template_fields({"ds": "2017-11-01"})
    assert train.training.spec.command == command
    assert list(train.template_fields) == []


def test_the_steps_are_told_the_training_alone(dag):
    for step in ("validate", "stage", "upload", "cleanup"):
        assert list(dag.get_task(step).op_args) == [MODEL_ID]
        assert not dag.get_task(step).op_kwargs


@pytest.mark.parametrize("step", ["validate", "stage", "upload", "cleanup"])
def test_a_process_that_runs_another_step_has_a_placeholder_for_the_train_task(step, monkeypatch):
    monkeypatch.setenv(_TASK_OF_PROCESS, step)
    dag = _dag()
    assert type(dag.get_task("train")) is sdk.BaseOperator
    assert [task.task_id for task in dag.topological_sort()] == _STEPS


def test_the_process_that_trains_has_the_real_train_task(monkeypatch):
    monkeypatch.setenv(_TASK_OF_PROCESS, "train")
    assert type(_dag().get_task("train")).__name__ == "TrainOperator"


_TEXT = st.text(max_size=60)
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_HOSTILE = "\"\"\"'''\\\n\r\u2028{{ x }}\x00'); __import__('os').abort() #"


def _call_of(source: str) -> object:
    """Return the one argument of the file's one call, read without running anything."""
    imported, assigned = ast.parse(source).body
    assert isinstance(imported, ast.ImportFrom)
    assert imported.module == "trainyard.airflow.dag"
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    assert isinstance(assigned.value.func, ast.Name)
    (argument,) = assigned.value.args
    return ast.literal_eval(argument)


@given(name=_TEXT, command=_TEXT, manifest=_TEXT, description=_TEXT, metrics=st.dictionaries(_TEXT, _DATA, max_size=3))
@example(name=_HOSTILE, command=_HOSTILE, manifest=_HOSTILE, description=_HOSTILE, metrics={_HOSTILE: [_HOSTILE]})
@example(name="\ud800", command="", manifest="", description="", metrics={})
@settings(max_examples=60)
def test_a_rendered_file_is_one_call_with_an_id_whatever_a_person_wrote(**texts):
    assert _call_of(bundles.dag_file(training(**texts).id)) == MODEL_ID


@given(
    name=st.text(min_size=1, max_size=40),
    command=_TEXT.filter(str.strip),
    manifest=_TEXT,
    description=_TEXT,
    author=st.builds(Author, _TEXT, _TEXT),
)
@example(name=_HOSTILE, command=_HOSTILE, manifest=_HOSTILE, description=_HOSTILE, author=Author(_HOSTILE, _HOSTILE))
@settings(max_examples=15)
def test_a_record_makes_a_dag_that_airflow_can_keep(**texts):
    there = training(**texts)
    made = dags.training_dag(there)
    assert made.get_task("train").training == there
    kept = serialized.DagSerialization.from_dict(serialized.DagSerialization.to_dict(made))
    assert kept.dag_id == MODEL_ID
    assert kept.dag_display_name.isprintable() or "\t" in kept.dag_display_name
    assert kept.timetable.first_id == MODEL_ID


def test_a_kept_dag_has_the_command_in_its_form_alone():
    kept = str(serialized.DagSerialization.to_dict(_dag(command="python3 seen-once.py")))
    assert kept.count("seen-once") == kept.count("'format': 'multiline'") > 0


def test_parsing_a_training_again_makes_the_same_dag():
    assert serialized.DagSerialization.to_dict(_dag()) == serialized.DagSerialization.to_dict(_dag())


def test_a_rendered_file_makes_the_dag_of_the_record_and_none_once_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path))
    catalogue = Catalogue(tmp_path)
    catalogue.add(there := training(command="python3 train.py"))
    assert _run_file(MODEL_ID).get_task("train").training == there
    catalogue.remove(MODEL_ID)
    assert _run_file(MODEL_ID) is None


def _run_file(training_id):
    names: dict = {}
    exec(bundles.dag_file(training_id), names)
    return names["dag"]
