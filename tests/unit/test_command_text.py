"""Line ends of a command that are only layout are read as blanks; those that separate commands stay."""

from __future__ import annotations

import subprocess
import time

import pytest
from manifest_samples import FFDL, MANIFEST, change, read

from trainyard.manifest.commandtext import command_text

COMMAND = "    command: python3 convolutional_network.py --data ${DATA_DIR}\n"


def shown(block: str) -> str:
    """Return what a shell makes of a command of the manifest, in which `show` prints its arguments."""
    command = read(change(MANIFEST, COMMAND, f"    command: {block}")).submission.spec.command
    script = f'show() {{ printf "[%s]" "$@"; echo; }}\n{command}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        (">\n      show a --x 1\n        --y 2 --z 3\n        --end\n", "[a][--x][1][--y][2][--z][3][--end]\n"),
        (">\n      show a\n        b.csv\n      c.csv\n", "[a][b.csv][c.csv]\n"),
        (">-\n      show a &&\n      show b\n        --c=1\n        --d=2 &&\n      show e\n        --f=3\n",
         "[a]\n[b][--c=1][--d=2]\n[e][--f=3]\n"),
        ("|\n      show a\n      --x 1\n      -y 2\n", "[a][--x][1][-y][2]\n"),
        ("|\n      show a\n      show b\n", "[a]\n[b]\n"),
        (">\n      show a\n\n      show b\n", "[a]\n[b]\n"),
        ("|\n      show a \\\n        --x 1\n", "[a][--x][1]\n"),
        (">\n      if true; then\n        show a\n        show b\n      fi\n", "[a]\n[b]\n"),
        (">\n      for i in 1 2; do\n        show $i\n          --x\n      done\n", "[1][--x]\n[2][--x]\n"),
        (">\n      show 'a\n        --b'\n        --c\n", "[a\n  --b][--c]\n"),
        ("|\n      cat <<END\n      --a\n        b\n      END\n      show c\n", "--a\n  b\n[c]\n"),
        (">\n      show a # all of it\n        show b\n", "[a]\n[b]\n"),
        ('"show a\\r\\nshow b\\r\\n"\n', "[a]\n[b]\n"),
        ("show a\n      --x 1\n", "[a][--x][1]\n"),
        ("|\n      show a\n        | cat\n", "[a]\n"),
        ("|\n      show a\n        && show b\n", "[a]\n[b]\n"),
        ("|\n      show a \\ \n        b \\  \n        --c\n", "[a][b][--c]\n"),
        ("|\n      show a ^\n        --b\n", "[a][--b]\n"),
    ],
)  # fmt: skip
def test_a_command_runs_as_its_writer_meant_it(block, wanted):
    assert shown(block) == wanted


def test_a_manifest_with_windows_line_ends_has_none_in_its_command():
    text = change(MANIFEST, COMMAND, "    command: |\n      show a\n      show b\n").replace("\n", "\r\n")
    assert read(text).submission.spec.command == "show a\nshow b"


def test_line_ends_that_are_read_as_blanks_are_warned_of_with_the_words_behind_them():
    text = change(
        FFDL, "command: python3 convolutional_network.py", "command: >\n    python3 a.py\n      --b 1\n      --c"
    )
    (warning,) = read(text).submission.warnings
    assert warning == "line 22: the command goes on over line ends, which are read as blanks (before --b, --c)"
    assert read(text).submission.spec.command == "python3 a.py --b 1 --c"


def test_a_command_without_such_line_ends_is_not_warned_of():
    assert (
        read(change(MANIFEST, COMMAND, "    command: >\n      python3 a.py\n      --b 1\n")).submission.warnings == ()
    )


@pytest.mark.parametrize("text", ["python 'a\n  --b", "x $(\n  --b", "cat <<END\n --b"])
def test_a_command_that_no_shell_reads_is_left_as_it_is(text):
    assert command_text(text, folded=True).text == text


@pytest.mark.parametrize(
    "text", ["a\n --b " * 12_000, "(" * 99_000, "$(" * 9_000, "'" * 19_999, "\n" * 90_000, "<<A\n" * 4_900]
)
def test_a_hostile_command_takes_no_time(text):
    begun = time.process_time()
    command_text(text, folded=True)
    assert time.process_time() - begun < 2
