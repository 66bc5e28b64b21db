"""The wrapper in the pods of several learners: they begin together, and mpirun starts their processes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from wrapperyard import Learner

_LIMIT = 120
HAS_MPI = shutil.which("mpirun") is not None
_PREFIX = "training-x-1"


class Group:
    """The wrappers of several learners with their folders, on one machine whose names all resolve."""

    def __init__(self, root: Path, count: int, slots: int = 1, launched: bool = False) -> None:
        names = root / "bin"
        names.mkdir()
        self.known = root / "known"
        self.known.touch()
        getent = names / "getent"
        getent.write_text(f'#!/bin/sh\n[ -e "{self.known}" ]\n')
        getent.chmod(0o755)
        self.together = root / "together"
        self.together.mkdir()
        hosts = ",".join(f"{_PREFIX}-{index}.{_PREFIX}" for index in range(count))
        self.learners, self.environments = [], []
        for number in range(1, count + 1):
            path = f"{names}:/usr/local/bin:/usr/bin:/bin"
            learner = Learner(root / str(number), ["bash"], path)
            learner.log = learner.logs / f"learner-{number}" / "training-log.txt"
            self.learners.append(learner)
            self.environments.append(
                {
                    "LEARNER_ID": str(number),
                    "NUM_LEARNERS": str(count),
                    "LEARNER_NAME_PREFIX": _PREFIX,
                    "LEARNER_HOSTS": hosts,
                    "LEARNER_TOGETHER": str(self.together),
                    "LEARNER_HOSTFILE": str(learner.root / "hostfile"),
                    "LEARNER_SLOTS": str(slots),
                    **({"LEARNER_PROCESSES": str(count * slots)} if launched else {}),
                }
            )

    def start(self, number: int, command: str) -> subprocess.Popen[bytes]:
        return self.learners[number - 1].start(command, **self.environments[number - 1])

    def run(self, command: str) -> list[int]:
        started = [self.start(number, command) for number in range(1, len(self.learners) + 1)]
        return [process.wait(_LIMIT) for process in started]

    def log(self, number: int) -> str:
        log = self.learners[number - 1].log
        return log.read_text() if log.exists() else ""


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[list[Group]]:
    made: list[Group] = []
    yield made
    for group in made:
        for learner in group.learners:
            learner.stop()


def made(groups: list[Group], root: Path, *arguments: int, launched: bool = False) -> Group:
    groups.append(Group(root, *arguments, launched=launched))
    return groups[-1]


class TestBeginning:
    def test_no_program_begins_before_all_learners_are_there(self, groups, tmp_path):
        group = made(groups, tmp_path, 2)
        first = group.start(1, "echo trains")
        group.learners[0].until(lambda: (group.together / _PREFIX / "1").exists())
        with pytest.raises(subprocess.TimeoutExpired):
            first.wait(0.5)
        assert group.log(1) == ""
        assert not (group.learners[0].state / "started").exists()
        assert group.start(2, "echo trains").wait(_LIMIT) == 0
        assert first.wait(_LIMIT) == 0
        assert (group.log(1), group.log(2)) == ("trains\n", "trains\n")

    def test_no_program_begins_before_the_names_of_all_are_known(self, groups, tmp_path):
        group = made(groups, tmp_path, 1)
        group.known.unlink()
        process = group.start(1, "echo trains")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        group.known.touch()
        assert process.wait(_LIMIT) == 0

    def test_one_that_is_stopped_while_it_waits_ends_at_once(self, groups, tmp_path):
        group = made(groups, tmp_path, 2)
        process = group.start(1, "echo trains")
        group.learners[0].until(lambda: (group.together / _PREFIX / "1").exists())
        process.terminate()
        assert process.wait(_LIMIT) == 143  # the other learner never comes

    def test_a_folder_that_cannot_be_written_is_told(self, groups, tmp_path):
        group = made(groups, tmp_path, 1)
        group.environments[0]["LEARNER_TOGETHER"] = "/proc/nowhere"
        assert group.start(1, "echo trains").wait(_LIMIT) == 73
        assert "other learners" in group.learners[0].reason.read_text()

    def test_the_hosts_file_names_all_learners_with_their_processes(self, groups, tmp_path):
        group = made(groups, tmp_path, 2, 4)
        assert group.run('cat "$LEARNER_HOSTFILE"') == [0, 0]
        lines = [f"{_PREFIX}-{index}.{_PREFIX} slots=4" for index in (0, 1)]
        assert group.log(1).splitlines() == group.log(2).splitlines() == lines


@pytest.mark.skipif(not HAS_MPI, reason="there is no mpirun on this machine")
class TestMpi:
    # Not the rank alone: it has to be mpirun that started it.
    SAYS = 'echo "rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on learner $LEARNER_ID"'

    def test_one_learner_starts_a_process_for_each_gpu(self, groups, tmp_path):
        group = made(groups, tmp_path, 1, 2, launched=True)
        del group.environments[0]["LEARNER_HOSTS"], group.environments[0]["LEARNER_TOGETHER"]
        assert group.run(self.SAYS) == [0]
        assert sorted(group.log(1).splitlines()) == ["rank 0 of 2 on learner 1", "rank 1 of 2 on learner 1"]

    def test_processes_are_started_on_all_learners_and_the_first_has_what_all_print(self, groups, tmp_path):
        group = made(groups, tmp_path, 2, 2, launched=True)
        assert group.run(self.SAYS) == [0, 0], group.log(1)
        # Open MPI warns now and then that it came too late to give a process its group.
        assert sorted(line for line in group.log(1).splitlines() if "setpgid" not in line) == [
            "rank 0 of 4 on learner 1",
            "rank 1 of 4 on learner 1",
            "rank 2 of 4 on learner 2",
            "rank 3 of 4 on learner 2",
        ]
        assert group.log(2) == ""

    def test_the_exit_code_of_a_process_is_the_commands_and_no_learner_goes_on(self, groups, tmp_path):
        group = made(groups, tmp_path, 2, 1, launched=True)
        codes = group.run('[ "$OMPI_COMM_WORLD_RANK" = 0 ] || { echo no labels; exit 3; }; sleep 600')
        assert codes == [3, 0]
        assert "no labels" in group.log(1)

    def test_a_command_of_several_lines_and_quotes_is_run_as_it_is(self, groups, tmp_path):
        group = made(groups, tmp_path, 1, 2, launched=True)
        assert group.run("words='a  b'\nif true; then printf '%s|\\n' \"$words\"; fi") == [0]
        assert group.log(1) == "a  b|\na  b|\n"

    def test_learners_that_are_stopped_end_with_all_their_processes(self, groups, tmp_path):
        group = made(groups, tmp_path, 2, 1, launched=True)
        started = [group.start(number, "echo trains; sleep 600.25") for number in (1, 2)]
        group.learners[0].until(lambda: group.log(1).count("trains") == 2)
        for process in started:
            process.terminate()
        # mpirun has an exit code of its own for that.
        assert [process.wait(_LIMIT) for process in started] == [1, 143]
        listed = subprocess.run(["pgrep", "-f", "sleep 600.25"], capture_output=True, text=True, check=False)
        assert listed.stdout == ""
