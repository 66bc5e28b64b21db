"""Which commands get `pipefail`: those whose programs may all decide, and no command that is right without it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from trainyard.domain.pipelines import suits_pipefail


@pytest.mark.parametrize(
    "command",
    [
        "python3 train.py | tee $RESULT_DIR/log",
        "python3 train.py 2>&1 | tee -a log",
        "python3 train.py |& tee log",
        "LR=0.1 nohup ./train.sh --sep '|' | tee log; python eval.py",
        'python train.py --name "a|b" --out "it\'s $HOME|" | tail -n 5 | tee log',
        "python train.py | grep -v Warning",
        "python train.py | gzip > $RESULT_DIR/log.gz",
        "(cd src && python train.py) | tee log",
        "pip install -r requirements.txt | tail -n 1 && python train.py | tee log",
        "mpirun -np 4 python train.py 2>&1 | sed 's/x/y/' | awk '{print $1}'",
        "python a.py | tee a || echo failed",
    ],
)
def test_a_program_that_writes_to_a_reader_of_all_decides(command):
    assert suits_pipefail(command)


@pytest.mark.parametrize(
    "command",
    [
        "python3 train.py",
        "python3 train.py || python3 other.py",
        "python3 train.py --sep '|'",
        "yes | head -1",
        "yes | pip uninstall x; python train.py | tee log",
        "cat data | head -n 100 >small && python train.py | tee log",
        "grep loss log | wc -l && python train.py",
        "if cat log | grep -q done; then exit 0; fi; python train.py | tee log",
        "ls *.h5 | wc -l; python train.py",
        "nvidia-smi | tee gpu.txt && python train.py",
        "find / -name x | sort | tee found && python train.py",
        "python train.py | sed 5q",
        "python train.py | awk 'NR == 5 {exit}'",
        "python train.py | grep -m1 loss",
        "python train.py | python filter.py",
        'X="$(ls -t | head -1)"; python train.py | tee log',
        "python train.py >| out",
    ],
)
def test_what_may_end_a_writer_early_or_answers_by_its_exit_code_keeps_the_shells_rule(command):
    assert not suits_pipefail(command)


@pytest.mark.parametrize(
    "command",
    [
        "seq 200000 | head -1",
        "seq 200000 | grep -q 7",
        "seq 200000 | sed 5q >few",
        "grep nothing data | wc -l && echo trained",
        "if cat data | grep -q x; then echo x; else echo none; fi",
        "ls *.nothing | cat && echo trained",
        "diff data other | tee difference && echo trained",
        "seq 200000 | tee all | tail -1 && echo trained",
        "echo a | grep -v a | sort; echo trained",
    ],
)
def test_a_command_that_is_completed_without_pipefail_is_completed_with_what_it_gets(tmp_path: Path, command: str):
    for name, text in (("data", "a\n"), ("other", "b\n")):
        (tmp_path / name).write_text(text)
    option = ["-o", "pipefail"] if suits_pipefail(command) else []
    shell = str(shutil.which("bash"))
    plain, chosen = (
        subprocess.run([shell, *options, "-c", command], cwd=tmp_path, capture_output=True, timeout=240, check=False)
        for options in ([], option)
    )
    assert (chosen.returncode, chosen.stdout) == (plain.returncode, plain.stdout)
