"""A command whose exit code is not its program's is warned of, and no other; the wrapper has the last word."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from manifest_samples import MANIFEST, change, read

from trainyard.cluster.environment import learner_text
from trainyard.domain.pipelines import suits_pipefail
from trainyard.manifest.exitcode import lost_exit_codes, lost_in_script

# Each command runs ./fail.py, which ends with 3; `ok` and the chores are there.
LOST = [
    "./fail.py & echo begun",
    "./fail.py | head -1",
    "./fail.py 2>&1 | tee log | sed 1q",
    "./fail.py &\nsleep 0",
    "./fail.py & wait",
    "./fail.py &\n./fail.py &\nwait",
    "./fail.py; ./ok.sh",
    "./fail.py\n./ok.sh",
    "./fail.py; cp fail.py copy",
    "./fail.py;\n\necho done",
    "./fail.py || echo failed",
    "./fail.py || true",
    "set -o pipefail; ./fail.py | tee log; ./ok.sh",
    "(./fail.py; echo done)",
    "{ ./fail.py; echo done; }",
    "(./fail.py &)",
    "! ./fail.py",
    "if ./fail.py; then echo good; else echo bad; fi",
    "for i in 1 2; do ./fail.py; echo $i; done",
    "for i in 1 2; do ./fail.py & done; wait",
    "case x in x) ./fail.py;; esac; echo done",
    "bash -c './fail.py; echo done'",
    'sh -c "./fail.py | tee \\"a log\\""',
    "eval './fail.py; true'",
    "f() { ./fail.py; echo done; }; f",
    "./fail.py && echo good || echo bad",
    "./fail.py || { echo failed; }",
    "./fail.py || exit 0",
    "./fail.py; exit 0",
    "./fail.py; echo $?",
    "./fail.py; code=$?; echo $code",
    "./fail.py; if [ $? -ne 0 ]; then echo bad; fi",
    "set -e; set +e; ./fail.py; echo done",
    "set -e; ./fail.py && echo good; echo done",
    "(set -e; ./fail.py; echo done) || true",
    "trap 'exit 0' EXIT; ./fail.py",
    "./fail.py & jobs",
    "setsid ./fail.py",
    "coproc ./fail.py",
    "find . -name ok.sh -exec ./fail.py {} \\;",
    "./fail.py | python3 -c 'pass'",
    'echo "$(./fail.py)"',
    "echo `./fail.py 2>&1`",
    "cat <(./fail.py)",
    "export X=$(./fail.py)",
    "echo $(echo $(./ok.sh); ./fail.py | tail -1)",
    "while read line; do echo $line; done < <(./fail.py)",
    "./ok.sh < <(./fail.py)",
    "while ./fail.py; do echo again; done",
]
KEPT = [
    "./fail.py & ",
    "nohup ./fail.py > log 2>&1 &",
    "./fail.py | tee log",
    "echo begin && ./fail.py 2>&1 | tee log",
    "X=1 ./fail.py |& cat",
    "set -e; ./fail.py | tee log",
    "./fail.py",
    "./fail.py;",
    "./fail.py\n",
    "echo begin; ./fail.py",
    "mkdir -p out; cd .; ./fail.py",
    "./ok.sh && ./fail.py",
    "./fail.py && ./ok.sh",
    "./fail.py & wait $!",
    "./fail.py &\npid=$!\nwait $pid",
    "sleep 0 & ./fail.py",
    "./ok.sh & ./fail.py",
    "set -e; ./fail.py; ./ok.sh",
    "set -euo pipefail\n./fail.py | tee log\n./ok.sh",
    "set -o pipefail; ./fail.py | tee log",
    "./fail.py | tee log; exit ${PIPESTATUS[0]}",
    "./fail.py || exit 1; ./ok.sh",
    "./fail.py; exit $?",
    "./fail.py; code=$?; echo done; exit $code",
    "./fail.py > >(cat) 2>&1",
    "./fail.py 'a; b & c | tee d'",
    "./fail.py \"$(echo 'x | y'; echo z)\"",
    "cat > x <<END\n./ok.sh &\n./ok.sh; ./ok.sh\nEND\n./fail.py",
    "./fail.py # then; more &",
    "echo y | ./fail.py",
    "(./ok.sh && ./ok.sh) && ./fail.py",
    "(./fail.py)",
    "(cd . && ./fail.py)",
    "./fail.py | gzip > log.gz",
    "if ! ./fail.py; then exit 1; fi",
    "if [ -f ok.sh ]; then ./fail.py; fi",
    "[ -f ok.sh ] && ./fail.py",
    "bash -c './fail.py'",
    "bash -ec './fail.py; echo done'",
    "f() { ./fail.py; }; f",
    "for i in 1 2; do ./fail.py || exit 1; done",
    "set -e; for i in 1 2; do ./fail.py; done",
    "./fail.py || { echo failed; exit 1; }",
    "./fail.py; [ $? -eq 0 ]",
    "setsid --wait ./fail.py",
    "if true; then ./fail.py; fi",
    "for i in 1 2; do echo $i; done; ./fail.py",
    "while read line; do echo $line; done < ok.sh; ./fail.py",
    "x=$(./fail.py)",
    "./fail.py $(./ok.sh) <(./ok.sh)",
    "./fail.py '$(./ok.sh)' \\$x",
    "echo '$(./ok.sh)' \\`./ok.sh\\`; ./fail.py",
    "echo $((1 + 2)) $(date); ./fail.py",
    "while ! ./ok.sh; do echo again; done; ./fail.py",
    "until ./ok.sh; do echo again; done; ./fail.py",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there = tmp_path_factory.mktemp("program")
    for name, code in (("fail.py", 3), ("ok.sh", 0)):
        Path(there, name).write_text(f"#!/bin/sh\nexit {code}\n")
        Path(there, name).chmod(0o755)
    return there


def exit_code(command: str, folder: Path) -> int:
    """Run the command as a pod does, in its wrapper."""
    options = ["pipefail"] if suits_pipefail(command) else []
    wrapper = ["bash", "-c", learner_text(), "learner", *options]
    names = ("MODEL_DIR", "LOG_DIR", "JOB_STATE_DIR", "HOME", "TMPDIR")
    words = {"LEARNER_ID": "1", "LEARNER_PYTHON": "python3", "TERMINATION_LOG": "/dev/null"}
    environment = {**os.environ, **dict.fromkeys(names, str(folder)), **words, "TRAINING_COMMAND": command}
    return subprocess.run(wrapper, env=environment, capture_output=True, timeout=240, start_new_session=True).returncode


@pytest.mark.parametrize("command", LOST)
def test_a_failure_that_counts_as_completed_is_warned_of(command, folder):
    reported = lost_exit_codes(command)
    assert len(reported) == 1, reported
    assert exit_code(command, folder) == 0 or "; ./ok.sh" in command


@pytest.mark.parametrize("command", KEPT)
def test_a_command_that_fails_with_its_program_is_not_warned_of(command, folder):
    assert lost_exit_codes(command) == []
    assert exit_code(command, folder) != 0


@pytest.mark.parametrize(
    ("command", "followed"),
    [
        ("./fail.py & wait", "./fail.py & wait $!"),
        ("./fail.py | head -1", "set -o pipefail; ./fail.py | head -1"),
        ("./fail.py; ./ok.sh", "./fail.py && ./ok.sh"),
        ("./fail.py; ./ok.sh", "set -e; ./fail.py; ./ok.sh"),
        ("./fail.py || echo failed", "./fail.py || exit 1"),
        ("./fail.py & echo begun", "./fail.py & echo begun; wait $!"),
    ],
)
def test_the_hint_brings_the_programs_exit_code_back(command, followed, folder):
    (reported,) = lost_exit_codes(command)
    assert any(part in reported for part in ("wait $!", "set -o pipefail;", "&&", "exit 1"))
    assert lost_exit_codes(followed) == []
    assert exit_code(followed, folder) != 0


@pytest.mark.parametrize(
    "command",
    [
        "",
        "&",
        "a & & b",
        "'",
        "a | | b",
        "if a; then b &",
        "( a",
        "a; fi",
        "$(",
        "a() b",
        "x() " * 900,
        "{ a; }; }",
    ],
)
def test_what_is_not_understood_is_passed_over(command):
    assert lost_exit_codes(command) == []


@pytest.mark.parametrize(
    ("text", "options", "lost"),
    [
        ("./prepare.py\n./fail.py\n", [], 1),
        ("#!/bin/bash -e\n./prepare.py\n./fail.py\n", [], 0),
        ("#!/bin/bash\nset -euo pipefail\n./prepare.py\n./fail.py | tee log\n", [], 0),
        ("./prepare.py\n./fail.py\n", ["-e"], 0),
        ("./fail.py | tee log\n", [], 1),
        ("./fail.py &\n", [], 1),
        ("./fail.py\n", [], 0),
    ],
)
def test_a_script_has_to_bring_the_exit_code_by_itself(text, options, lost):
    assert len(lost_in_script(text, options)) == lost


@pytest.mark.parametrize(
    "command",
    [
        "./a || X=${Y}",
        "./a || TOKEN=sEcReT",
        "./a | {b} | tee c",
        "./{a} & echo",
        "./a; ./{0.x}; echo",
    ],
)
def test_no_text_of_a_command_is_taken_for_a_place_in_a_sentence_and_no_value_is_shown(command):
    reported = lost_exit_codes(command)
    assert reported
    assert not any("sEcReT" in sentence for sentence in reported)


def test_a_command_that_only_asks_a_program_for_its_version_loses_nothing():
    assert lost_exit_codes("python --version; nvcc -V; ./fail.py") == []


def test_a_submission_is_warned_with_the_line_and_without_arguments():
    text = change(MANIFEST, "convolutional_network.py --data ${DATA_DIR}", "train.py --token sEcReT | head -9")
    (warning,) = read(text).submission.warnings
    assert warning.startswith("line 11: the exit code is that of head, not of train.py")
    assert "sEcReT" not in warning


# Each function calls all others twice.
CIRCLES = "".join(f"f{one}() {{ {''.join(f'f{other};f{other};' for other in range(25))} }};" for one in range(25))


@pytest.mark.parametrize("command", [f"{CIRCLES}f0", "$(" * 9_000, "{ " * 9_000, f"{'{ ' + 'a& ' * 90 + '};'}" * 70])
def test_what_is_nested_or_calls_itself_takes_no_time(command):
    begun = time.process_time()
    lost_exit_codes(command)
    lost_in_script(command)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("command", ["a; " * 6_000, "a | " * 5_000, "a & " * 5_000, "(" * 19_000, "a || " * 4_000])
def test_a_hostile_command_takes_no_time(command):
    begun = time.process_time()
    lost_exit_codes(command)
    assert time.process_time() - begun < 2
