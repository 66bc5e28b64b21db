"""What is decided before anything is done, and what is refused at the door."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from samples import GIB, LIMITS, SPEC, training

from trainyard.domain.limits import Limits
from trainyard.domain.plan import Plan, make_plan
from trainyard.domain.training import Framework, Resources, TrainingSpec
from trainyard.errors import TrainyardError

_VISION, _SPEECH = LIMITS.accounts["vision"], LIMITS.accounts["speech"]


def _plan(account=_VISION, **changes) -> Plan:
    return make_plan(replace(SPEC, **changes), account, LIMITS)


def _refusal(account=_VISION, **changes) -> TrainyardError:
    with pytest.raises(TrainyardError) as refusal:
        _plan(account, **changes)
    return refusal.value


def test_a_size_by_its_name_decides_everything():
    assert _plan(resources=Resources(size="large")) == Plan(
        account="vision",
        image="registry.example.com/tensorflow:2.16",
        interpreter="python3",
        gpus=4,
        cpu_millis=16000,
        memory=96 * GIB,
        pool="gpus-vision",
        pool_slots=4,
        deadline_seconds=24 * 3600,
        node_selector={"gpu": "k80"},
        tolerations=({"key": "nvidia.com/gpu", "operator": "Exists"},),
    )


def test_explicit_amounts_are_taken_as_they_are_and_a_gpu_type_selects_its_nodes():
    plan = _plan(resources=Resources(gpus=2, cpu_millis=1500, memory=3 * GIB, gpu_type="P100"))
    assert (plan.gpus, plan.cpu_millis, plan.memory, plan.pool_slots) == (2, 1500, 3 * GIB, 2)
    assert plan.node_selector == {"gpu": "p100"}


def test_amounts_that_are_not_given_have_defaults():
    plan = _plan(resources=Resources(gpus=1))
    assert (plan.cpu_millis, plan.memory) == (1000, 4 * GIB)


def test_a_training_without_a_gpu_takes_one_slot_of_the_cpu_pool():
    plan = _plan(resources=Resources(size="tiny"))
    assert (plan.gpus, plan.pool, plan.pool_slots) == (0, "cpu", 1)


def test_the_deadline_is_the_accounts():
    assert _plan(_SPEECH).deadline_seconds == 1800


def test_an_old_spelling_of_a_version_runs_in_todays_image():
    assert _plan(framework=Framework("tensorflow", "2.16-py3")).image == "registry.example.com/tensorflow:2.16"


def test_a_custom_framework_brings_its_image_as_its_version():
    plan = _plan(framework=Framework("custom", "registry.example.com/mine:1"))
    assert (plan.image, plan.interpreter) == ("registry.example.com/mine:1", "python3")


def test_a_custom_image_is_refused_where_the_account_may_not_bring_one():
    error = _refusal(_SPEECH, framework=Framework("Custom", "registry.example.com/mine:1"))
    assert error.code.code == "C101"
    assert "speech may not bring its own image" in error.problems[0].message
    assert "pytorch, tensorflow" in error.problems[0].hint


def test_a_version_that_is_not_there_is_refused_with_those_that_are():
    problem = _refusal(framework=Framework("tensorflow", "0.1")).problems[0]
    assert (problem.path, problem.seen) == ("framework.version", "0.1")
    assert problem.hint == "Use one of 2.16, 1.3-py2."


def test_a_framework_that_is_not_there_is_refused_with_those_that_are():
    problem = _refusal(framework=Framework("caffe", "1.0")).problems[0]
    assert (problem.path, problem.seen) == ("framework.name", "caffe")
    assert problem.hint == "Use one of pytorch, tensorflow."


def test_a_size_that_is_not_there_is_refused_with_those_that_are():
    error = _refusal(resources=Resources(size="huge"))
    assert error.code.code == "C104"
    assert error.problems[0].hint == "Use one of small, large, tiny."


def test_more_gpus_than_the_account_owns_are_refused_with_the_sizes_that_fit():
    error = _refusal(_SPEECH, resources=Resources(size="large"))
    assert error.code.code == "C104"
    assert error.problems[0].message == "4 GPUs are asked for and account speech owns 1."
    assert error.problems[0].hint == "Use a size that fits (small, tiny) or another account."
    assert error.problems[0].seen == "large"


def test_as_many_gpus_as_the_account_owns_are_fine():
    assert _plan(resources=Resources(gpus=4)).gpus == 4
    assert _refusal(resources=Resources(gpus=5)).problems[0].seen == "5"


def test_a_plan_of_several_learners_takes_the_gpus_of_all_of_them():
    plan = _plan(resources=Resources(size="small", nodes=3))
    assert (plan.learners, plan.gpus, plan.all_gpus, plan.pool, plan.pool_slots) == (3, 1, 3, "gpus-vision", 3)
    alone = _plan(resources=Resources(size="tiny", nodes=3))
    assert (alone.learners, alone.all_gpus, alone.pool, alone.pool_slots) == (3, 0, "cpu", 1)


@pytest.mark.parametrize(
    ("resources", "hint"),
    [
        (Resources(size="small", nodes=5), "Ask for 4 learners, for one of the sizes tiny, or use another account."),
        (Resources(gpus=2, nodes=3), "Ask for 2 learners, or use another account."),
        (Resources(gpus=8, nodes=2), "Ask for fewer GPUs, or use another account."),
    ],
)
def test_learners_that_have_more_gpus_together_than_the_account_owns_are_refused(resources, hint):
    (problem,) = _refusal(resources=resources).problems
    assert (problem.path, problem.seen, problem.code) == ("resources.nodes", str(resources.nodes), "C104")
    assert "and account vision owns 4." in problem.message
    assert problem.hint == hint


def test_everything_that_is_wrong_is_told_at_once():
    error = _refusal(_SPEECH, framework=Framework("caffe", "1"), resources=Resources(size="large", nodes=3))
    assert [problem.path for problem in error.problems] == ["framework.name", "resources.nodes"]


def test_a_plan_comes_back_from_json_as_it_was():
    plan = _plan(resources=Resources(size="large"))
    assert Plan.from_dict(json.loads(json.dumps({**plan.as_dict(), "of a later version": 1}))) == plan


def test_a_spec_comes_back_from_json_as_it_was():
    spec = training(metrics={"type": "tensorboard", "in": ["$JOB_STATE_DIR/logs/tb"]}).spec
    assert TrainingSpec.from_dict(json.loads(json.dumps({**spec.as_dict(), "of a later version": 1}))) == spec


def test_a_spec_without_an_author_comes_back_without_one():
    spec = replace(SPEC, author=None)
    assert TrainingSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec


def test_without_any_account_limits_still_answer():
    assert Limits((), {}, {}).framework_names() == []
