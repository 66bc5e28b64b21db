"""The wrapper that runs a training command, tested with real shells, processes and signals."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from wrapperyard import LIMIT_SECONDS, Learner

from trainyard.cluster.environment import LAUNCHER, learner_text

_TOOLS = "cat chmod date env iconv ls mkdir mkfifo mktemp mv rm sed seq setsid sleep tail tee touch tr wc"


@pytest.fixture(params=["bash", "dash", "dash-alone", "busybox"])
def learner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Learner]:
    """A wrapper under bash, dash, dash where there is no bash, and busybox with nothing but its own tools."""
    made = _learner(request.param, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def bash_learner(tmp_path: Path) -> Iterator[Learner]:
    made = _learner("bash", tmp_path)
    yield made
    made.stop()


def _learner(kind: str, tmp_path: Path) -> Learner:
    program = shutil.which(kind.removesuffix("-alone"))
    if program is None:
        pytest.skip(f"{kind} is not on this machine")
    if kind in ("bash", "dash"):
        return Learner(tmp_path / "a run", [program], os.environ["PATH"])
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in _TOOLS.split():
        source = program if kind == "busybox" else shutil.which(tool)
        if source and not (kind == "busybox" and tool == "iconv"):
            (tools / tool).symlink_to(source)
    (tools / "sh").symlink_to(program)
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    return Learner(tmp_path / "a run", [str(tools / "sh")], str(tools))


@pytest.mark.parametrize("code", [0, 1, 3, 71, 126, 127, 255])
def test_the_commands_own_exit_code_is_the_wrappers(learner: Learner, code: int) -> None:
    assert learner.run(f"echo last words; exit {code}")[0] == code


def test_a_command_that_was_killed_ends_with_128_and_the_signal(learner: Learner) -> None:
    code, shown = learner.run("echo before; kill -KILL $$")
    assert (code, learner.log.read_bytes()) == (137, b"before\n")
    assert b"TRAINING_COMMAND" not in shown


def test_output_goes_to_the_pods_log_and_to_the_file_in_order(learner: Learner) -> None:
    code, shown = learner.run("echo one; echo two >&2; echo three; echo four >&2")
    assert code == 0
    assert shown == b"one\ntwo\nthree\nfour\n"
    assert learner.log.read_bytes() == shown


def test_a_successful_command_leaves_no_word_of_the_wrapper_and_no_reason(learner: Learner) -> None:
    assert learner.run("true") == (0, b"")
    assert learner.log.read_bytes() == b""
    assert learner.reason.read_bytes() == b""


def test_nothing_is_lost_of_100_000_quick_lines(learner: Learner) -> None:
    code, shown = learner.run("seq 100000; exit 5")
    expected = b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert code == 5
    assert learner.log.read_bytes() == expected
    assert shown == expected


def test_binary_output_and_a_last_line_without_an_end_arrive_unchanged(learner: Learner) -> None:
    data = bytes(range(256)) * 50
    (learner.model / "blob").write_bytes(data)
    code, shown = learner.run("cat blob; exit 1")
    assert (code, shown, learner.log.read_bytes()) == (1, data, data)


def test_a_second_attempt_appends_on_a_line_of_its_own(learner: Learner) -> None:
    learner.run("printf 'first, cut off'; exit 1")
    learner.run("echo second; exit 1")
    assert learner.log.read_text() == "first, cut off\nsecond\n"
    assert learner.reason.read_text() == "second\n"


def test_the_command_runs_in_the_model_folder_with_it_on_pythonpath(learner: Learner) -> None:
    (learner.model / "helper.py").write_text("print('helped')\n")
    learner.run("pwd; echo $PYTHONPATH; cd / && python3 -c 'import helper'", PYTHONPATH="/opt/theirs")
    where = str(learner.model)
    assert learner.log.read_text() == f"{where}\n{where}:/opt/theirs\nhelped\n"


def test_the_wrapper_leaves_no_variable_of_its_own_in_the_environment(learner: Learner) -> None:
    learner.run("env", PYTHONPATH="")
    seen = {line.partition("=")[0] for line in learner.log.read_text().splitlines()}
    shells_own = {"PWD", "SHLVL", "_"}
    assert seen - shells_own == {*learner.environment, "TRAINING_COMMAND", "PYTHONPATH"}


def test_folders_with_blanks_quotes_and_unicode_work(tmp_path: Path) -> None:
    learner = Learner(tmp_path / "a 'run' of \"Müller\" $HOME 数字", ["dash"], os.environ["PATH"])
    assert learner.run('cd .. && echo "$MODEL_DIR" >&2; exit 4')[0] == 4
    assert learner.log.read_text() == f"{learner.model}\n"
    learner.stop()


def test_the_command_is_handed_over_unchanged(learner: Learner) -> None:
    command = "A='x y'; if [ \"$A\" = 'x y' ]; then echo \"$A\" '$A' \\\\ \"\\$\" `echo z`; fi;\necho next && echo last"
    learner.run(command)
    assert learner.log.read_text() == "x y $A \\ $ z\nnext\nlast\n"


def test_the_command_runs_in_bash_where_there_is_one(bash_learner: Learner) -> None:
    assert bash_learner.run('[[ "$LEARNER_ID" == "1" ]] && echo bash')[1] == b"bash\n"


def test_the_start_is_marked_before_the_program_runs(learner: Learner) -> None:
    learner.run('cat "$JOB_STATE_DIR/started"')
    assert abs(int(learner.log.read_text()) - time.time()) < 60
    assert [path.name for path in learner.state.iterdir()] == ["started"]


def test_a_program_that_lost_its_exec_bit_is_told_the_hint(learner: Learner) -> None:
    (learner.model / "train.sh").write_text("#!/bin/sh\necho never\n")
    code, shown = learner.run("./train.sh")
    assert code == 126
    assert b"chmod +x" in shown
    assert "exit code 126: a file of the command is not executable; run chmod +x" in learner.log.read_text()
    assert "chmod +x" in learner.reason.read_text()


def test_a_program_that_is_not_there_is_said_to_be_missing(learner: Learner) -> None:
    code, _ = learner.run("no-such-program --option")
    assert code == 127
    assert "no-such-program" in learner.log.read_text()
    assert "exit code 127: a program of the command was not found" in learner.log.read_text().splitlines()[-1]


def test_an_explanation_never_continues_the_programs_last_line(learner: Learner) -> None:
    learner.run("printf 'no end'; exit 126")
    assert learner.log.read_text().splitlines()[0] == "no end"


def test_the_reason_is_the_end_of_this_attempts_output(learner: Learner) -> None:
    learner.run("echo of the first attempt; exit 1")
    learner.run("seq 5000; printf 'Traceback:\\n\\n   \\nValueError: größer\\0\\n\\n'; exit 1")
    lines = learner.reason.read_text().splitlines()
    assert lines[-2] == "Traceback:"
    assert lines[-1] in ("ValueError: größer", "ValueError: grer")  # ASCII where the image has no iconv
    assert len(learner.reason.read_bytes()) <= 4096


def test_the_reason_is_utf8_and_short_whatever_was_written(learner: Learner) -> None:
    (learner.model / "blob").write_bytes(bytes(range(256)) * 200)
    learner.run("cat blob; exit 1")
    assert 0 < len(learner.reason.read_bytes()) <= 4096
    learner.reason.read_text()


def test_a_failure_without_output_leaves_the_reason_empty(learner: Learner) -> None:
    learner.run("echo earlier; exit 1")
    assert learner.run("exit 9")[0] == 9
    assert learner.reason.read_bytes() == b""


def test_an_exit_code_of_255_is_vouched_for_as_the_programs_own(learner: Learner) -> None:
    assert learner.run("echo no such host; exit 255")[0] == 255
    assert learner.reason.read_text() == "trainyard: exit code 255\nno such host\n"


def test_progress_bars_give_their_last_state_as_reason(learner: Learner) -> None:
    learner.run(r"printf 'epoch 1\repoch 2\rdied'; exit 1")
    assert learner.reason.read_text().splitlines()[-1] == "died"


def test_a_missing_termination_log_is_not_made(learner: Learner) -> None:
    learner.reason.unlink()
    assert learner.run("echo x; exit 2")[0] == 2
    assert not learner.reason.exists()


def test_a_missing_model_folder_is_named(learner: Learner) -> None:
    learner.model.rmdir()
    code, shown = learner.run("echo never")
    assert code == 71
    assert f"the model definition is not at '{learner.model}'" in shown.decode()
    assert learner.reason.read_bytes() == shown


def test_an_unwritable_log_folder_is_named(learner: Learner) -> None:
    learner.logs.rmdir()
    learner.logs.write_text("a file where the folder should be")
    code, shown = learner.run("echo never")
    assert code == 72
    assert str(learner.log) in learner.reason.read_text()
    assert b"never" not in shown


def test_an_unwritable_state_folder_is_named(learner: Learner) -> None:
    learner.state.rmdir()
    code, shown = learner.run("echo never")
    assert code == 73
    assert str(learner.state) in learner.reason.read_text()
    assert b"never" not in shown


def test_nothing_is_left_in_the_temporary_folder(learner: Learner) -> None:
    learner.run("true")
    assert not list(learner.root.glob("tmp.*"))


def test_sigterm_reaches_a_program_that_saves_its_state(learner: Learner) -> None:
    command = learner.python(
        "import signal, sys, time\n"
        "def save(*_):\n    print('saving'); time.sleep(0.3); print('saved'); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready')\nwhile True: time.sleep(1)\n"
    )
    process = learner.start(f"exec {command}")
    learner.until_logged(b"ready\n")
    process.terminate()
    shown, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 7
    assert shown == learner.log.read_bytes() == b"ready\nsaving\nsaved\n"


def test_sigterm_ends_a_list_of_commands_and_waits_for_what_still_saves(learner: Learner) -> None:
    command = learner.python(
        "import signal, sys, time\n"
        "def save(*_):\n    time.sleep(0.3); print('saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready')\nwhile True: time.sleep(1)\n"
    )
    process = learner.start(f"echo a && {command} && echo never; echo neither")
    learner.until_logged(b"ready\n")
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143
    assert learner.log.read_bytes() == b"a\nready\nsaved\n"


def test_an_interrupted_program_that_ends_well_is_not_a_success(learner: Learner) -> None:
    command = learner.python(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready')\nwhile True: time.sleep(1)\n"
    )
    process = learner.start(f"exec {command}")
    learner.until_logged(b"ready\n")
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143


def test_sigterm_is_delivered_once(learner: Learner) -> None:
    command = learner.python(
        "import signal, sys, time\n"
        "ends = []\ndef told(*_):\n    print('told'); ends.append(time.monotonic() + 0.5)\n"
        "signal.signal(signal.SIGTERM, told)\nprint('ready')\n"
        "while not ends or time.monotonic() < ends[0]: time.sleep(0.05)\nsys.exit(8)\n"
    )
    process = learner.start(command)
    learner.until_logged(b"ready\n")
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert learner.log.read_bytes().count(b"told") == 1


def test_a_plain_program_ends_at_once_on_sigterm(learner: Learner) -> None:
    process = learner.start("echo ready; sleep 1000; echo never")
    learner.until_logged(b"ready\n")
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143
    assert b"never" not in learner.log.read_bytes()


def test_sigterm_is_heard_at_any_moment_of_the_start(learner: Learner) -> None:
    for step in range(12):
        process = learner.start("sleep 60")
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=step * 0.004)
        process.terminate()
        process.communicate(timeout=LIMIT_SECONDS)
        # Killed by it before the shell has read its first line; a container's first process would not be.
        assert process.returncode in (143, -signal.SIGTERM)


def test_background_processes_do_not_hold_a_finished_run_and_are_reported(learner: Learner) -> None:
    code, shown = learner.run("sleep 60 & echo done; exit 6")
    assert code == 6
    assert shown.splitlines()[0] == b"done"
    assert b"warning: the command ended before 1 of its processes (sleep 60); what still ran was stopped" in shown
    assert shown == learner.log.read_bytes()


def test_a_completed_run_carries_the_warning_of_what_was_cut_off(learner: Learner) -> None:
    # Its output goes elsewhere, so that no open pipe gives it away.
    code, _ = learner.run("sleep 60 >/dev/null 2>&1 & (setsid sleep 61 >/dev/null 2>&1 & wait) & echo done")
    assert code == 0
    assert learner.reason.read_text().startswith("trainyard: warning: the command ended before 3 of its processes (")
    assert not _processes_of(learner)


def test_a_background_process_that_ignores_sigterm_is_killed(bash_learner: Learner) -> None:
    code, shown = bash_learner.run("(trap '' TERM; sleep 60) & echo done; exit 6")
    assert code == 6
    assert shown.startswith(b"done\n")
    assert not _processes_of(bash_learner)


@pytest.mark.parametrize(("end", "code"), [("exit 0", 0), ("exit 5", 5)])
def test_a_command_that_ends_in_the_background_is_waited_for(learner: Learner, end: str, code: int) -> None:
    command = f"sleep 0.3 & sh -c 'sleep 0.2; echo trained >trained; {end}' >/dev/null 2>&1 & \n\t "
    assert learner.run(command) == (code, b"")
    assert (learner.model / "trained").read_text() == "trained\n"


@pytest.mark.parametrize(("command", "code"), [("(exit 4) # not in the background &", 4), ("true && \\&", 127)])
def test_what_only_looks_like_a_background_job_keeps_its_exit_code(learner: Learner, command: str, code: int) -> None:
    assert learner.run(command)[0] == code


_SIGNALS_ITS_GROUP = {
    "kill 0 at exit": "trap 'trap \"\" TERM; kill 0; wait' EXIT; sleep 9 & echo finished",
    "trap exit, then kill 0": 'trap "exit" INT TERM; trap "kill 0" EXIT; sleep 9 & echo finished',
    "kill its group by number": "trap '' TERM; sleep 9 & echo finished; kill -s TERM -- -$$ || kill -s TERM -$$",
    "end with its group": "trap 'trap - TERM && kill -- -$$' EXIT; sleep 9 & echo finished",
    "killed with its group": "sleep 9 & echo finished; kill -s TERM 0; sleep 9",
}


@pytest.mark.parametrize("idiom", _SIGNALS_ITS_GROUP)
def test_a_command_that_signals_its_process_group_ends_as_it_would_alone(learner: Learner, idiom: str) -> None:
    (learner.model / "run.sh").write_text(_SIGNALS_ITS_GROUP[idiom] + "\n")
    shell = shutil.which("bash", path=learner.environment["PATH"]) or learner.shell[0]
    code, shown = learner.run(f"'{shell}' run.sh")
    assert shown.splitlines()[0] == b"finished"
    assert code == _alone(learner, shell, f"'{shell}' run.sh")
    assert not _processes_of(learner)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_a_python_program_may_signal_its_group_as_mpi_launchers_do(bash_learner: Learner, number: str) -> None:
    # As mpirun, torchrun and joblib do: end all workers, then say so and leave.
    command = bash_learner.python(
        f"import os, signal, subprocess, sys\nsubprocess.Popen(['sleep', '9'])\nif '{number}' != 'SIGKILL':\n"
        f"    signal.signal(signal.{number}, signal.SIG_IGN)\n"
        f"print('finished', flush=True)\nos.killpg(os.getpgrp(), signal.{number})\nsys.exit(0)\n"
    )
    code, shown = bash_learner.run(command)
    assert shown.splitlines()[0] == b"finished"
    assert code == _alone(bash_learner, "bash", command)
    assert code == (137 if number == "SIGKILL" else 0)


def _alone(learner: Learner, shell: str, command: str) -> int:
    """Return how a command ends in a session of its own, without the wrapper."""
    alone = ["setsid", "-w", shell, "-c", command]
    # Without pipes, which what stays behind in the background would keep open.
    code = subprocess.run(
        alone,
        cwd=learner.model,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=LIMIT_SECONDS,
        check=False,
    ).returncode
    return code if code >= 0 else 128 - code


def test_sigterm_reaches_what_left_the_programs_group_and_session(learner: Learner) -> None:
    (learner.model / "worker.sh").write_text(
        "trap 'echo saved-$1 >>saved; exit 0' TERM\necho ready-$1 >>ready\nwhile :; do sleep 0.05; done\n"
    )
    command = "setsid sh worker.sh far >/dev/null 2>&1 & sh worker.sh near & (sh worker.sh below) & wait"
    process = learner.start(command)
    ready = learner.model / "ready"
    learner.until(lambda: ready.exists() and len(ready.read_text().split()) == 3)
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143
    assert sorted((learner.model / "saved").read_text().split()) == ["saved-below", "saved-far", "saved-near"]


def test_a_signal_waits_for_what_still_saves_in_the_background(learner: Learner) -> None:
    (learner.model / "worker.sh").write_text(
        "trap 'sleep 0.4; echo saved >saved; exit 0' TERM\necho >ready\nwhile :; do sleep 0.05; done\n"
    )
    process = learner.start("sh worker.sh >/dev/null 2>&1 & sleep 60")
    learner.until(lambda: (learner.model / "ready").exists())
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert (learner.model / "saved").exists()


def test_without_setsid_bash_gives_the_command_a_group_of_its_own(bash_learner: Learner, tmp_path: Path) -> None:
    tools = tmp_path / "few"
    tools.mkdir()
    for tool in [*_TOOLS.split(), "bash", "sh"]:
        if tool != "setsid":
            (tools / tool).symlink_to(str(shutil.which(tool)))
    assert (
        bash_learner.run("trap 'trap \"\" TERM; kill 0; wait' EXIT; sleep 60 & echo finished", PATH=str(tools))[0] == 0
    )
    assert bash_learner.log.read_text() == "finished\n"


@pytest.mark.parametrize(
    ("command", "code"), [("(exit 3) | tee out", 3), ("(exit 3) | tee out && echo never", 3), ("echo x | tee out", 0)]
)
def test_with_pipefail_a_program_before_tee_decides(learner: Learner, command: str, code: int) -> None:
    shell = shutil.which("bash", path=learner.environment["PATH"]) or learner.shell[0]
    knows = subprocess.run([shell, "-o", "pipefail", "-c", ":"], capture_output=True, check=False).returncode == 0
    found, shown = learner.run(command, "pipefail")
    assert found == (code if knows else 0)
    assert not knows or b"never" not in shown


def test_a_program_gets_variables_that_the_wrapper_uses_too(learner: Learner) -> None:
    names = sorted(set(re.findall(r"\b([a-z_]+)=", learner_text())) - {"u", "s"})
    assert {"log", "status", "told", "left", "table"} <= set(names)
    values = {name: f"its '{name}' $x" for name in names}
    code, shown = learner.run("env; sleep 60 & exit 3", **values)
    assert code == 3
    assert [name for name in names if f"{name}={values[name]}\n" not in shown.decode()] == []


def _processes_of(learner: Learner) -> list[str]:
    """Return what still runs with the wrapper's environment."""
    mark = f"MODEL_DIR={learner.model}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                mark in (folder / "environ").read_bytes().split(b"\0")
                and b"Z" not in (folder / "stat").read_bytes()[-200:].partition(b") ")[2][:1]
            ):
                found.append((folder / "cmdline").read_text())
    return found


def test_what_a_filter_of_the_command_still_writes_is_waited_for(bash_learner: Learner) -> None:
    code, shown = bash_learner.run("exec > >(sleep 0.3; cat); seq 1000")
    assert code == 0
    assert shown.endswith(b"999\n1000\n")


def test_a_program_can_be_interrupted_with_sigint_under_bash(bash_learner: Learner) -> None:
    command = bash_learner.python(
        "import os, signal, time\ntry:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    assert bash_learner.run(command) == (0, b"interrupted\n")


def test_python_means_the_frameworks_interpreter_where_the_image_has_no_python(learner: Learner) -> None:
    if shutil.which("python", path=learner.environment["PATH"]):
        assert learner.run("python -c 'print(1 + 1)'", LEARNER_PYTHON="no-such-python") == (0, b"2\n")
    else:
        assert learner.run("python -c 'print(1 + 1)'", LEARNER_PYTHON="python3") == (0, b"2\n")


def test_an_interpreter_with_a_path_comes_first(learner: Learner) -> None:
    folder = learner.root / "their bin"
    folder.mkdir()
    (folder / "python").write_text('#!/bin/sh\necho theirs "$@"\n')
    (folder / "python").chmod(0o755)
    assert learner.run("python a b", LEARNER_PYTHON=str(folder / "python")) == (0, b"theirs a b\n")


def test_a_log_that_the_program_removed_or_emptied_does_no_harm(learner: Learner) -> None:
    assert learner.run('seq 9; : >"$LOG_DIR/learner-1/training-log.txt"; exit 3')[0] == 3
    assert learner.run('echo x; rm -r "$LOG_DIR"/*; exit 4')[0] == 4


def test_a_log_that_grows_past_its_limit_is_cut_and_says_so_while_the_pods_own_goes_on(learner: Learner) -> None:
    code, shown = learner.run("seq 100000; exit 3", LEARNER_LOG_BYTES="65536")
    kept = learner.log.read_bytes()
    assert code == 3
    assert shown.startswith(kept[:65536])
    assert b"\n99999\n100000\n" in shown
    assert kept[65536:].strip() == b"trainyard: the log has its 65536 bytes; what came after is not kept"


def test_a_second_attempt_after_a_full_log_runs_as_the_first_did(learner: Learner) -> None:
    learner.run("seq 100000", LEARNER_LOG_BYTES="65536")
    code, shown = learner.run("echo second; exit 4", LEARNER_LOG_BYTES="65536")
    assert (code, b"second" in shown) == (4, True)


def test_a_log_below_its_limit_is_whole_and_the_programs_own_files_are_not_bounded(learner: Learner) -> None:
    command = 'seq 1000; seq 100000 >"$MODEL_DIR/large"'
    code, shown = learner.run(command, LEARNER_LOG_BYTES="65536")
    assert code == 0
    assert learner.log.read_bytes() == shown == b"".join(b"%d\n" % number for number in range(1, 1001))
    assert (learner.model / "large").stat().st_size > 500_000


def test_the_launcher_takes_bash_where_there_is_one_and_sh_elsewhere(learner: Learner) -> None:
    command = [learner.shell[0], "-c", LAUNCHER, "-", 'echo "$0 ${BASH_VERSION:+bash}"', "learner"]
    done = subprocess.run(command, env=learner.environment, capture_output=True, check=True, timeout=LIMIT_SECONDS)
    assert done.stdout.strip() == (
        b"learner bash" if shutil.which("bash", path=learner.environment["PATH"]) else b"learner"
    )


_TOKEN = 'k3y"with $(signs) & <all>'
_LINES = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7\nq0lZ9\n-----END KEY-----\n"
_SECRETS = {"TRAINYARD_SECRETS": "TOKEN KEY", "TOKEN": _TOKEN, "KEY": _LINES}


def _without_python(learner: Learner) -> Learner:
    """Leave the wrapper an awk alone, where its tools can be chosen."""
    tools = learner.root.parent / "bin"
    if not tools.exists():
        pytest.skip("this shell finds the tools of the machine")
    (tools / "python3").unlink()
    (tools / "awk").symlink_to(shutil.which("busybox" if "busybox" in str(learner.shell) else "awk") or "")
    return learner


@pytest.mark.parametrize(
    "writing",
    [
        "print(value)",
        "print(repr(os.environ))",
        "print(json.dumps({'key': value}))",
        "print(quote(value, safe=''))",
        "print(base64.b64encode(value.encode()).decode())",
        "print(base64.b64encode(b'user:' + value.encode()).decode())",
        "print(value, file=sys.stderr)",
        "[(os.write(1, bytes([each])), time.sleep(0.0005)) for each in value.encode()]",
        "os.write(1, b'x' * (65536 - 5) + value.encode())",
        "raise SystemExit(f'refused: {value}')",
        "print(KEY.split()[2])",
    ],
)
def test_a_secret_is_in_no_line_whatever_way_it_is_written(learner: Learner, writing: str) -> None:
    source = f"""
import base64, json, os, sys, time
from urllib.parse import quote
value, KEY = os.environ["TOKEN"], os.environ["KEY"]
print("before", flush=True)
{writing}
"""
    _, shown = learner.run(learner.python(source), **_SECRETS)
    assert shown.startswith(b"before\n")
    assert b"****" in shown
    assert shown == learner.log.read_bytes()
    whole = shown + learner.reason.read_bytes()
    hidden = [_TOKEN, quote(_TOKEN, safe=""), json.dumps(_TOKEN)[1:-1], "MIIEowIBAAKCAQEA7"]
    hidden += [base64.b64encode(before + _TOKEN.encode()).decode()[8:24] for before in (b"", b"user:")]
    assert [text for text in hidden if text.encode() in whole] == []


def test_the_program_itself_gets_its_secrets_unchanged(learner: Learner) -> None:
    code, _ = learner.run(f'test "$TOKEN" = \'{_TOKEN}\' && test -z "$masker_text$mask_with"', **_SECRETS)
    assert code == 0


def test_secrets_that_overlap_or_stand_in_each_other_are_masked_whole(learner: Learner) -> None:
    secrets = {"TRAINYARD_SECRETS": "A B C", "A": "abcdefgh", "B": "abcdefghijkl", "C": "ghijklmnop"}
    code, shown = learner.run(
        "echo abcdefgh; echo abcdefghijklmnop; echo -abcdefghijkl-; printf abcdefghijk", **secrets
    )
    assert (code, shown) == (0, b"****\n****\n-****-\n****ijk")


def test_output_that_is_no_secret_is_unchanged_and_shown_at_once(learner: Learner) -> None:
    source = "import sys, time\nfor i in range(3):\n print(i, end='\\r', flush=True)\nsys.stdin.read()\n"
    process = learner.start(f"(sleep 1000) | {learner.python(source)}", **_SECRETS)
    learner.until_logged(b"0\r1\r2\r")
    process.terminate()
    process.wait(LIMIT_SECONDS)
    data = bytes(range(256)) * 1000
    (learner.model / "data").write_bytes(data)
    learner.log.write_bytes(b"")
    assert learner.run("cat data", **_SECRETS)[1] == data


def test_what_is_left_running_is_named_without_the_secret_in_its_arguments(learner: Learner) -> None:
    code, shown = learner.run(
        'sh -c "sleep 1000; : $TOKEN" & sleep 0.1; exec 1>&2; kill -0 $! && exit 0',
        TOKEN="tok12345",
        TRAINYARD_SECRETS="TOKEN",
    )
    assert b"what still ran was stopped" in shown
    assert b"tok12345" not in shown + learner.reason.read_bytes()
    assert code == 0


def test_an_image_without_python_masks_with_awk_line_by_line(learner: Learner) -> None:
    _without_python(learner)
    code, shown = learner.run('echo "it is $TOKEN!"; echo "$KEY"; exit 3', **_SECRETS)
    assert (code, shown) == (3, b"it is ****!\n****\n****\nq0lZ9\n****\n\n")
    assert learner.reason.read_bytes().startswith(b"it is ****!")


def test_an_image_that_cannot_mask_runs_no_program_with_secrets(learner: Learner) -> None:
    _without_python(learner)
    (learner.root.parent / "bin" / "awk").unlink()
    code, shown = learner.run("echo begun", **_SECRETS)
    assert code == 73
    assert b"neither Python nor awk" in shown
    assert learner.run("echo begun")[1] == b"begun\n"


def test_a_module_of_the_zip_does_not_take_the_place_of_one_that_masks(learner: Learner) -> None:
    for name in ("base64.py", "json.py", "os.py"):
        (learner.model / name).write_text("raise SystemExit('shadowed')")
    code, shown = learner.run('echo "$TOKEN"', PYTHONPATH=str(learner.model), **_SECRETS)
    assert (code, shown) == (0, b"****\n")


def test_a_signal_reaches_a_program_with_secrets_and_its_last_lines_are_kept(learner: Learner) -> None:
    source = (
        "import os, signal, sys, time\n"
        "def save(*_):\n    time.sleep(0.3); print('saved', os.environ['TOKEN']); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\ntime.sleep(1000)\n"
    )
    process = learner.start(f"exec {learner.python(source)}", **_SECRETS)
    learner.until_logged(b"ready")
    process.terminate()
    assert process.wait(LIMIT_SECONDS) == 7
    assert learner.log.read_bytes() == b"ready\nsaved ****\n"


class TestRequirements:
    """A requirements.txt of the zip, installed from a package that the test makes: no index is asked."""

    @pytest.fixture
    def place(self, bash_learner: Learner) -> Path:
        folder = bash_learner.root / "environment"
        folder.mkdir()
        source = bash_learner.root / "source"
        source.mkdir()
        (source / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
            '[project]\nname = "planted-package"\nversion = "1.5"\n'
        )
        (source / "own.py").write_text(_BACKEND)
        (bash_learner.model / "requirements.txt").write_text(f"planted-package @ {source.as_uri()}\n")
        python = f"{sys.base_prefix}/bin/python3"
        bash_learner.environment |= {"LEARNER_PYTHON": python, "PIP_NO_INDEX": "1"}
        return folder

    def _run(self, learner: Learner, place: Path, command: str, **more: str) -> tuple[int, str]:
        code, shown = learner.run(command, TRAINYARD_ENVIRONMENT=str(place), TRAINING_ID="training-DOl4q2LkR", **more)
        return code, shown.decode()

    def test_it_is_installed_once_and_then_found(self, bash_learner: Learner, place: Path) -> None:
        command = 'python -c "import planted; print(planted.VERSION)" && planted-command'
        code, shown = self._run(bash_learner, place, command)
        assert code == 0, shown
        assert "trainyard: installing requirements.txt" in shown
        assert shown.endswith("1.5\ncommand 1.5\n")
        place.chmod(0o555)
        assert self._run(bash_learner, place, command) == (0, "1.5\ncommand 1.5\n")
        assert not (bash_learner.state / "installing").exists()

    def test_the_phase_is_seen_while_it_is_installed(self, bash_learner: Learner, place: Path) -> None:
        (bash_learner.root / "source" / "own.py").write_text("import time\ntime.sleep(1000)\n")
        process = bash_learner.start("true", TRAINYARD_ENVIRONMENT=str(place), TRAINING_ID="t")
        bash_learner.until((bash_learner.state / "installing").exists)
        assert (bash_learner.state / "started").exists()
        bash_learner.until(lambda: b"installing" in bash_learner.log.read_bytes())
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 143
        assert not (place / "ready").exists()

    def test_a_failure_is_pips_own_sentence(self, bash_learner: Learner, place: Path) -> None:
        (bash_learner.model / "requirements.txt").write_text("no-such-package==9.9\n")
        code, shown = self._run(bash_learner, place, "echo begun")
        assert code == 74
        assert "begun" not in shown
        sentence = "ERROR: No matching distribution found for no-such-package==9.9"
        assert shown.endswith(f"trainyard: requirements.txt could not be installed: {sentence}\n")
        assert bash_learner.reason.read_text() == f"trainyard: {sentence}\n"
        assert os.listdir(place) == []

    def test_what_a_program_installs_by_itself_is_its_own(self, bash_learner: Learner, place: Path) -> None:
        other = bash_learner.root / "other"
        shutil.copytree(bash_learner.root / "source", other)
        (other / "pyproject.toml").write_text((other / "pyproject.toml").read_text().replace("1.5", "2.0"))
        (other / "own.py").write_text(_BACKEND.replace("1.5", "2.0"))
        version = "python -c 'import planted; print(planted.VERSION)'"
        code, shown = self._run(bash_learner, place, f"pip install -q --no-build-isolation '{other}' && {version}")
        assert (code, shown.splitlines()[-1]) == (0, "2.0"), shown
        assert self._run(bash_learner, place, version) == (0, "1.5\n")

    def test_a_half_made_environment_is_no_environment(self, bash_learner: Learner, place: Path) -> None:
        (place / "ready").write_text("gone")
        code, shown = self._run(bash_learner, place, "python -c 'import planted'")
        assert code == 0, shown

    def test_an_image_that_cannot_install_says_so_and_goes_on(self, bash_learner: Learner, place: Path) -> None:
        empty = bash_learner.root / "nothing"
        empty.mkdir()
        (empty / "python").write_text("#!/bin/sh\nexit 1\n")
        (empty / "python").chmod(0o755)
        bash_learner.environment["LEARNER_PYTHON"] = str(empty / "python")
        code, shown = self._run(bash_learner, place, "echo begun")
        assert (code, "is not installed" in shown, shown.endswith("begun\n")) == (0, True, True)


# A build backend that makes its wheel by itself: the tests reach no index for setuptools.
_BACKEND = """
import os, zipfile

def build_wheel(folder, settings=None, metadata=None):
    name = "planted_package-1.5-py3-none-any.whl"
    about = "planted_package-1.5.dist-info"
    files = {
        "planted.py": "VERSION = '1.5'\\ndef main():\\n    print('command', VERSION)\\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\\nName: planted-package\\nVersion: 1.5\\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{about}/entry_points.txt": "[console_scripts]\\nplanted-command = planted:main\\n",
    }
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{about}/RECORD", "".join(f"{file},,\\n" for file in [*files, f"{about}/RECORD"]))
    return name
"""
