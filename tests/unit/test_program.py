"""The program file of a command is told where it is certain, and only there."""

from __future__ import annotations

import time

import pytest

from trainyard.manifest.archive import ArchiveEntry
from trainyard.manifest.program import missing_program, program_of, script_problems, script_warnings


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("python3 convolutional_network.py --trainingIters 20", "convolutional_network.py"),
        ("bash runme.sh", "runme.sh"),
        ("VAR=1 OTHER='a b' python a/b.py; echo done", "a/b.py"),
        ("python -u train.py", "train.py"),
        ("python3.11 ./train.py", "train.py"),
        ("/opt/conda/bin/python -u train.py --nodes 2", "train.py"),
        ("./train-dcgan.py --epoch 20", "train-dcgan.py"),
        ("PS_HOSTS_COUNT=1 ./launcher.py python3 ${MODEL_DIR}/mnist.py", "launcher.py"),
        ("python3 ${MODEL_DIR}/mnist.py", "mnist.py"),
        ("$MODEL_DIR/run.sh", "run.sh"),
        ("pip3 install keras; pip3 install scikit-learn; python3 experiment.py", "experiment.py"),
        ("pip install keras && python3 keras-test/mnist_cnn.py", "keras-test/mnist_cnn.py"),
        ("chmod +x *.sh && ./train-max-model.sh", "train-max-model.sh"),
        ("exec nohup python 'my script.py' 2>&1 | tee $LOG_DIR/x", "my script.py"),
        ("export A=1\npython b.py&&echo", "b.py"),
        ("th main.lua", "main.lua"),
        ("Rscript fit.R", "fit.R"),
    ],
)
def test_a_certain_program_is_told(command, program):
    assert program_of(command) == program


@pytest.mark.parametrize(
    "command",
    [
        "",
        "   \n",
        "caffe train -solver lenet.prototxt",
        "cd x && python y.py",
        "pip install x && cd y && python z.py",
        "if [ -f x.py ]; then python x.py; fi",
        "for i in 1 2; do python x.py; done",
        "python -m pkg.mod",
        "python -m torch.distributed.launch train.py",
        "python -c 'print(1)'",
        "python -W ignore x.py",
        "python - <<EOF\nprint(1)\nEOF",
        "python pkg",
        "python3 $DATA_DIR/x.py",
        "python3 ../x.py",
        "python3 /abs/x.py",
        "python *.py",
        "python > log x.py",
        "python a.py || python b.py",
        "(python x.py)",
        "{ python x.py; }",
        "! python x.py",
        "bash -c 'python x.py'",
        "bash -s x.sh",
        "perl -e 'x'",
        "tar xf code.tar && python x.py",
        "git clone x && python x.py",
        "echo 'print(1)' > x.py; python x.py",
        'eval "$(find . -name start.sh)" 500',
        "mpirun -np 2 python x.py",
        "python 'x.py",
        "train",
    ],
)
def test_an_uncertain_program_is_not_guessed(command):
    assert program_of(command) is None


@pytest.mark.parametrize(
    "command", ["a=1 " * 250_000, ";" * 10**6, "'" * (10**6 + 1), "python " + "a " * 400_000], ids=range(4)
)
def test_a_hostile_command_takes_no_time(command):
    begun = time.process_time()
    assert program_of(command) is None
    assert time.process_time() - begun < 1


WINDOWS = [ArchiveEntry("run.sh", 1, True, windows_script=True), ArchiveEntry("a/go", 1, True, windows_script=True)]


@pytest.mark.parametrize(
    "command", ["./run.sh", "chmod +x run.sh && ./run.sh --x", "$MODEL_DIR/run.sh", "echo; ${MODEL_DIR}/run.sh"]
)
def test_a_script_with_windows_line_ends_that_the_command_starts_is_refused(command):
    (problem,) = script_problems(command, WINDOWS)
    assert (problem.code, problem.path) == ("C102", "run.sh")
    assert "Windows line ends (CRLF)" in problem.message
    assert "sed -i" in problem.hint


def test_such_a_script_that_is_given_to_a_shell_is_warned_of_and_no_other_is_told():
    assert script_problems("bash run.sh", WINDOWS) == []
    (warning,) = script_warnings("bash -x run.sh", WINDOWS)
    assert warning.startswith("run.sh has Windows line ends (CRLF)")
    for command in ("python3 train.py", "./other.sh", "python3 run.sh", "cd a && ./run.sh", "cd a; bash run.sh"):
        assert script_problems(command, WINDOWS) == []
        assert script_warnings(command, WINDOWS) == []


@pytest.mark.parametrize("command", ["bash run.sh", "sh -x ./run.sh", "source run.sh && ./train", ". ./run.sh"])
def test_a_script_without_an_interpreter_line_is_warned_of_its_windows_line_ends_too(command):
    entries = [ArchiveEntry("run.sh", 1, False, script="cd x\r\n./train\r\n")]
    assert any("Windows line ends" in warning for warning in script_warnings(command, entries))
    assert script_warnings(command, [ArchiveEntry("run.sh", 1, False, script="cd x\n./train\n")]) == []


@pytest.mark.parametrize("command", ["bash run.sh", "./run.sh", "echo; bash -x run.sh --lr 1", ". ./run.sh"])
def test_a_script_in_which_a_failure_is_lost_is_warned_of_with_its_name(command):
    (warning,) = script_warnings(command, [ArchiveEntry("run.sh", 1, True, script="./train\necho done\n")])
    assert warning.startswith("run.sh: a failure of ./train is not the command's")
    assert script_warnings("./other.sh", [ArchiveEntry("run.sh", 1, True, script="./train\necho done\n")]) == []


def test_a_program_whose_name_holds_a_hidden_character_is_found_nevertheless():
    (problem,) = missing_program("python3 train.py", ["tra\u200bin.py"])
    assert "Did you mean tra\\u200bin.py?" in problem.hint


def test_a_missing_program_is_told_with_where_it_lies():
    (problem,) = missing_program("python3 train.py", ["model/train.py", "README"])
    assert problem.code == "C102"
    assert "train.py, which is not in the zip" in problem.message
    assert "Did you mean model/train.py?" in problem.hint


def test_a_program_that_is_there_or_uncertain_is_no_problem():
    assert missing_program("python3 train.py", ["train.py"]) == []
    assert missing_program("caffe train", []) == []
