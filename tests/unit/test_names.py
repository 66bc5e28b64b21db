"""Names that are derived from others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import MODEL_ID, RUN

from trainyard.domain.names import (
    RunKey,
    account_pool,
    data_connection,
    is_model_id,
    label_value,
    new_model_id,
    pod_name,
    results_connection,
)

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def test_a_model_id_is_training_and_nine_characters():
    assert re.fullmatch(r"training-[A-Za-z0-9]{9}", new_model_id())


def test_model_ids_do_not_repeat():
    assert len({new_model_id() for _ in range(5_000)}) == 5_000


@pytest.mark.parametrize("text", ["training-DOl4q2LkR", "training-000000000"])
def test_a_model_id_is_known_by_its_shape(text):
    assert is_model_id(text)


@pytest.mark.parametrize("text", ["", "training-", "training-short", "training-DOl4q2LkR\n", "../training-DOl4q2LkR"])
def test_anything_else_is_no_model_id(text):
    assert not is_model_id(text)


def test_ids_that_differ_only_in_case_get_pods_of_different_names():
    upper, lower = "training-DOl4q2LkR", "training-dOl4q2LkR"
    assert pod_name(RunKey.first_of(upper), 1) != pod_name(RunKey.first_of(lower), 1)


def test_runs_of_two_trainings_with_one_id_get_pods_of_different_names():
    one, other = (
        RunKey(training_id, "training-again0000") for training_id in ("training-DOl4q2LkR", "training-dOl4q2LkR")
    )
    assert pod_name(one, 1) != pod_name(other, 1)


def test_each_attempt_has_a_pod_name_of_its_own_that_can_be_worked_out_again():
    names = [pod_name(RUN, attempt) for attempt in (1, 2, 1)]
    assert names[0] == names[2] != names[1]


_MODEL_IDS = st.from_regex(r"training-[A-Za-z0-9]{9}", fullmatch=True)
_RUNS = st.builds(RunKey, _MODEL_IDS, _MODEL_IDS)


@given(_RUNS, st.integers(1, 99))
def test_a_pod_name_is_one_that_kubernetes_takes(run, attempt):
    name = pod_name(run, attempt)
    assert _DNS_LABEL.fullmatch(name)
    assert len(name) <= 63


class TestRunKey:
    @given(_RUNS)
    def test_a_run_is_read_back_as_it_was_written(self, run):
        assert run.valid
        assert RunKey.parse(str(run)) == run

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ".",
            MODEL_ID,
            f"{MODEL_ID}.",
            f".{MODEL_ID}",
            f"{RUN}.{MODEL_ID}",
            f"{RUN}\n",
            f"{MODEL_ID}.manual__1",
            "a.b",
        ],
    )
    def test_any_other_text_is_no_run(self, text):
        assert RunKey.parse(text) is None

    @pytest.mark.parametrize("text", ["", "manual__2026", "../x", "training-short", "training-DOl4q2LkR\n"])
    def test_a_run_with_an_id_that_the_service_does_not_make_is_not_valid(self, text):
        assert not RunKey(MODEL_ID, text).valid
        assert not RunKey(text, MODEL_ID).valid

    def test_the_first_run_of_a_training_has_its_id(self):
        assert RunKey(MODEL_ID, MODEL_ID) == RUN


@given(st.text(max_size=200))
def test_any_text_becomes_a_label_value_that_kubernetes_takes(text):
    value = label_value(text)
    assert len(value) <= 63
    assert _LABEL_VALUE.fullmatch(value)


def test_a_good_label_value_stays_as_it_is():
    assert label_value("tensorflow-1.3_py3") == "tensorflow-1.3_py3"


def test_an_accounts_pool_cannot_be_one_of_the_services_own():
    assert account_pool("staging") == "gpus-staging"
    assert account_pool("cpu") == "gpus-cpu"


def test_the_connections_of_a_training_are_told_apart():
    assert data_connection("training-1") == "training-1.data"
    assert results_connection("training-1") == "training-1.results"
