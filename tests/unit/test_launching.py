"""How the commands of several learners are started: by themselves, by mpirun, with servers of parameters among them."""

from __future__ import annotations

import pytest

from trainyard.domain.launching import first_that_ends, starts_processes


@pytest.mark.parametrize(
    ("command", "environment", "first"),
    [
        ("python3 train.py", {}, 1),
        ("PS_HOSTS_COUNT=1 ./launcher.py python3 ${MODEL_DIR}/mnist_dist.py --data_dir ${DATA_DIR}", {}, 2),
        ("export PS_HOSTS_COUNT='2'; python launcher.py python3 mnist_dist.py", {}, 3),
        ("./launcher.py python3 mnist_dist.py", {}, 2),
        ("./launcher.py python3 mnist_dist.py", {"PS_HOSTS_COUNT": "3"}, 4),
        ("PS_HOSTS_COUNT=4 ./launcher.py python3 mnist_dist.py", {}, 1),
        ("PS_HOSTS_COUNT=0 ./launcher.py python3 mnist_dist.py", {}, 1),
        ("./launcher.py python3 mnist_dist.py", {"PS_HOSTS_COUNT": "many"}, 1),
        ("PS_HOSTS_COUNT=2 python3 train.py", {}, 1),
        ("python3 my_launcher.pyc train.py", {}, 1),
    ],
)
def test_the_learners_before_the_first_that_ends_serve_parameters_under_the_samples_launcher(
    command, environment, first
):
    assert first_that_ends(command, environment, 4) == first


@pytest.mark.parametrize("command", ["./launcher.py python3 train.py", "PS_HOSTS_COUNT=1 ./launcher.py python3 t.py"])
def test_one_learner_alone_is_the_one_that_ends(command):
    assert first_that_ends(command, {}, 1) == 1


@pytest.mark.parametrize("command", ["mpirun -np 4 python train.py", "cd x && horovodrun -np 2 python train.py"])
def test_a_command_with_a_launcher_of_mpis_starts_its_processes_itself(command):
    assert starts_processes(command)
    assert not starts_processes("python train.py --mpirunner x")
