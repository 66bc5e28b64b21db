"""The form of a training in Airflow: its fields, and the pool slots of a run that was triggered with another size."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from late import Late
from samples import LIMITS, MODEL_ID, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.plan import sizes_for
from trainyard.domain.training import Resources

pytestmark = pytest.mark.xdist_group("airflow")

bundles = Late("airflow.models.dagbundle")
dags = Late("trainyard.airflow.dag")
exceptions = Late("airflow.exceptions")
histories = Late("trainyard.airflow.history")
serialized = Late("airflow.serialization.serialized_objects")
serialized_models = Late("airflow.models.serialized_dag")
slots = Late("trainyard.airflow.runparameters")
types = Late("airflow.utils.types")

VALUES = {"lr": 0.1, "epochs": 3, "nesterov": True, "note": "plain", "suffix": ""}
_AGAIN = "training-again0000"
_NOW = datetime(2026, 1, 2, tzinfo=UTC)
SIZES = sizes_for(LIMITS.accounts["vision"], LIMITS)


def _dag(**changes):
    return dags.training_dag(training(**{"hyperparameters": VALUES, "sizes": SIZES, **changes}))


def _kept(dag):
    """Return the DAG as the scheduler and the web page know it."""
    return serialized.DagSerialization.from_dict(serialized.DagSerialization.to_dict(dag))


def _schema(name, **changes):
    return _kept(_dag(**changes)).params.get_param(name).schema


def test_the_form_has_size_command_and_every_hyperparameter_with_the_manifests_values():
    form = _kept(_dag()).params
    assert form.dump() == {"size": "small", "command": training().spec.command, **VALUES}
    assert form.validate()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("size", "string"), ("command", "string"), ("lr", "number"), ("epochs", "integer"),
        ("nesterov", "boolean"), ("note", "string"), ("suffix", ["null", "string"]),
    ],
)  # fmt: skip
def test_a_field_has_the_type_of_its_value(name, kind):
    assert _schema(name)["type"] == kind


def test_a_person_chooses_among_the_sizes_of_the_account_and_sees_what_they_are():
    schema = _schema("size")
    assert schema["enum"] == ["small", "large", "tiny"]
    assert schema["values_display"]["large"] == "large: 4 GPU, 16 CPU, 96Gi"


def test_a_training_with_explicit_amounts_offers_them_as_no_size():
    changes = {"resources": Resources(gpus=1, cpu_millis=500, memory=2**30)}
    assert _schema("size", **changes)["enum"] == [None, "small", "large", "tiny"]
    assert _kept(_dag(**changes)).params["size"] is None


def test_a_training_that_was_registered_without_sizes_has_no_such_field():
    assert list(_kept(_dag(sizes={})).params) == ["command", *VALUES]


def test_no_task_carries_a_copy_of_the_form():
    assert [task.task_id for task in _dag().tasks if task.params] == []


def _slots(given, task_id="train", **changes):
    """Return pool and slots of a task as the scheduler has them for a run that was triggered with these values."""
    task = SimpleNamespace(task_id=task_id, dag_id=MODEL_ID, pool="gpus-vision", pool_slots=1)
    task.task = _kept(_dag(**changes)).get_task(task_id)
    slots.follow_size(task, SimpleNamespace(run_id=MODEL_ID, conf=given))
    return task.pool, task.pool_slots


@pytest.mark.parametrize(
    ("size", "place"), [("large", ("gpus-vision", 4)), ("small", ("gpus-vision", 1)), ("tiny", ("cpu", 1))]
)
def test_the_train_task_takes_the_slots_of_the_size_it_was_triggered_with(size, place):
    assert _slots({"size": size, "lr": 1}) == place


@pytest.mark.parametrize(
    "given",
    [None, {}, {"lr": 1}, {"size": None}, {"size": "gigantic"}, {"size": ["large"]}, {"size": {}}, "large", ["size"]],
    ids=str,
)
def test_what_names_no_other_size_leaves_the_task_as_it_is(given):
    assert _slots(given) == ("gpus-vision", 1)


def test_only_the_train_task_follows_the_size():
    assert _slots({"size": "large"}, "stage") == ("gpus-vision", 1)


def test_a_training_without_sizes_leaves_the_task_as_it_is():
    assert _slots({"size": "large"}, sizes={}) == ("gpus-vision", 1)


def test_a_task_that_belongs_to_no_run_yet_or_to_no_training_is_left_alone():
    for task in (SimpleNamespace(task_id="train", dag_id=MODEL_ID), SimpleNamespace(task_id="train", dag_id="theirs")):
        before = dict(vars(task))
        slots.follow_size(task, None if task.dag_id == MODEL_ID else SimpleNamespace(conf={"size": "large"}))
        assert vars(task) == before


@pytest.fixture
def trigger(database, tmp_path):
    """Trigger the training with values and return the run as the history reports it."""
    catalogue = Catalogue(tmp_path / "catalogue")
    catalogue.add(training(hyperparameters=VALUES, sizes=SIZES))
    with database() as session:
        session.add(bundles.DagBundleModel(name="trainings"))
    _parse(catalogue, database)

    def run(values):
        with database() as session:
            serialized_models.SerializedDagModel.get_dag(MODEL_ID, session=session).create_dagrun(
                run_id=_AGAIN,
                run_after=_NOW,
                conf=values,
                run_type=types.DagRunType.MANUAL,
                triggered_by=types.DagRunTriggeredByType.UI,
                state="running",
                session=session,
            )
        return histories.AirflowHistory(catalogue, lambda _: None).find(_AGAIN)

    return run


def _parse(catalogue, database):
    """Let Airflow know the training's DAG, as its dag-processor does."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    dag = dags.training_dag(catalogue.get(MODEL_ID))
    dag.fileloc, dag.relative_fileloc = str(catalogue.record_path(MODEL_ID)), f"{MODEL_ID}.py"
    with database() as session:
        update_dag_parsing_results_in_db(
            "trainings", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session
        )


def test_a_run_tells_what_it_overrode_and_its_own_gpus(trigger):
    run = trigger({"size": "large", "command": training().spec.command, **VALUES, "epochs": 9})
    assert (run.model_id, run.training_id) == (_AGAIN, MODEL_ID)
    assert run.overrides == {"size": "large", "epochs": 9}
    assert run.gpus == 4


def test_a_run_that_was_triggered_with_the_defaults_overrides_nothing(trigger):
    run = trigger({"size": "small", **VALUES})
    assert (run.overrides, run.gpus) == ({}, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 2.5},
        {"epochs": "3"},
        {"nesterov": 1},
        {"lr": "high"},
        {"note": None},
        {"size": "k80"},
        {"command": ""},
    ],
    ids=str,
)
def test_airflow_refuses_a_wrong_value_by_its_name(trigger, wrong):
    with pytest.raises(exceptions.ParamValidationError, match=next(iter(wrong))):
        trigger(wrong)
