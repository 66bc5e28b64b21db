"""What of a program's output gets into Airflow's log: live at a bounded cost, its end in any case, steering nothing."""

from __future__ import annotations

import pytest
from samples import RUN

from trainyard.airflow import programlog
from trainyard.airflow.programlines import MARK, MAX_LINE, split_lines, visible
from trainyard.airflow.programlog import ProgramLog
from trainyard.workspace.layout import Workspace


class _Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def folder(tmp_path):
    made = Workspace(tmp_path).run(RUN)
    made.training_log.parent.mkdir(parents=True)
    return made


@pytest.fixture
def program(folder, clock):
    return ProgramLog(folder, "The whole log: there", clock)


def _print(folder, data):
    with folder.training_log.open("ab") as log:
        log.write(data if isinstance(data, bytes) else data.encode())


def _shown(lines):
    return [line.removeprefix(MARK) for line in lines]


class TestLive:
    def test_a_log_that_is_not_there_yet_has_no_lines(self, program):
        assert program.look() == []

    def test_new_lines_are_shown_once(self, program, folder):
        _print(folder, "one\ntwo\n")
        assert _shown(program.look()) == ["one", "two"]
        assert program.look() == []
        _print(folder, "three\n")
        assert _shown(program.look()) == ["three"]

    def test_a_line_waits_for_its_end_and_the_last_one_for_the_programs(self, program, folder):
        _print(folder, "whole\nhal")
        assert _shown(program.look()) == ["whole"]
        assert program.look() == []
        _print(folder, "f")
        assert _shown(program.look(ended=True)) == ["half"]

    def test_a_progress_bar_is_shown_while_it_moves_as_what_it_shows_at_last(self, program, folder):
        _print(folder, "10%\r20%\r30%\r4")
        assert _shown(program.look()) == ["30%"]
        _print(folder, "0%\rdone\r\n")
        assert _shown(program.look()) == ["done"]

    def test_another_attempt_or_triggerer_goes_on_where_the_last_one_was(self, program, folder):
        _print(folder, "one\n")
        program.look()
        program.keep()
        _print(folder, "two\n")
        assert _shown(ProgramLog(folder, "").look()) == ["two"]

    def test_lines_that_were_read_and_not_shown_are_shown_again(self, program, folder):
        _print(folder, "one\n")
        program.look()
        assert _shown(ProgramLog(folder, "").look()) == ["one"]

    @pytest.mark.parametrize("damage", ["", "x", "-5", "99999999999"])
    def test_a_damaged_note_harms_nothing(self, folder, damage):
        folder.shown.write_text(damage)
        _print(folder, "one\n")
        assert _shown(ProgramLog(folder, "").look()) == ["one"]

    def test_a_link_in_the_logs_place_is_not_followed(self, program, folder, tmp_path):
        (tmp_path / "secret").write_text("key\n")
        folder.training_log.symlink_to(tmp_path / "secret")
        assert (program.look(ended=True), program.last_words()) == ([], [])


class TestCost:
    def test_a_flood_is_shown_in_part_and_a_line_says_what_is_missing_and_where_it_is(self, program, folder):
        _print(folder, b"".join(b"line %d\n" % number for number in range(200_000)))
        first, *lines = program.look()
        assert "are left out. The whole log: there" in first
        assert lines[-1] == f"{MARK}line 199999"
        assert sum(map(len, lines)) <= programlog.MAX_LOOK

    def test_a_program_that_prints_for_days_costs_so_much_a_second_and_no_more(self, program, folder, clock):
        shown = looks = 0
        while clock.now < 3600:
            _print(folder, b"0123456789\n" * 500)
            shown += sum(len(line) + programlog.COST_OF_LINE for line in program.look())
            looks += 1
            clock.now += programlog.POLL_SECONDS
        assert shown <= programlog.MAX_BURST + 3600 * programlog.BYTES_PER_SECOND + 2 * programlog.MAX_LOOK
        assert shown > programlog.MAX_BURST

    def test_a_flood_goes_on_being_shown_now_and_then(self, program, folder, clock):
        last = 0.0
        for _ in range(1000):
            _print(folder, b"0123456789\n" * 500)
            if program.look():
                last = clock.now
            clock.now += programlog.POLL_SECONDS
        assert clock.now - last < 120

    def test_all_of_a_run_is_bounded_and_its_end_is_shown_all_the_same(self, program, folder, clock):
        shown = 0
        told = []
        for _ in range(400):
            _print(folder, b"0123456789abcdef" * 16 * 16 + b"\n")
            clock.now += 3600
            lines = program.look()
            shown += sum(map(len, lines))
            told += [line for line in lines if "too much to show more" in line]
        for _ in range(4000):
            _print(folder, b"x" * 100 + b"\n")
            _print(folder, (b"y" * 100 + b"\n") * 400)
            clock.now += 3600
            lines = program.look()
            shown += sum(map(len, lines))
            told += [line for line in lines if "too much to show more" in line]
        assert shown <= programlog.MAX_LIVE + programlog.MAX_LOOK
        assert len(told) == 1
        _print(folder, "the end\n")
        lines = program.look(ended=True)
        assert lines[-1] == f"{MARK}the end"
        assert sum(map(len, lines)) <= programlog.MAX_END + 1000

    def test_a_gigabyte_is_not_read(self, program, folder):
        with folder.training_log.open("wb") as log:
            log.truncate(1024**3)
            log.seek(0, 2)
            log.write(b"\nlast\n")
        assert _shown(program.look(ended=True))[-1] == "last"

    def test_empty_lines_by_the_million_are_left_out_as_others_are(self, program, folder):
        _print(folder, b"\n" * 1_000_000)
        assert len(program.look()) <= programlog.MAX_LOOK // programlog.COST_OF_LINE + 1

    def test_control_characters_that_grow_as_they_are_escaped_count_as_what_they_become(self, program, folder):
        _print(folder, (b"\x01" * 1000 + b"\n") * 1000)
        assert sum(map(len, program.look())) <= programlog.MAX_LOOK + 200

    @pytest.mark.parametrize("ended", [True, False])
    def test_a_line_without_an_end_is_cut(self, program, folder, ended):
        _print(folder, b"x" * 300_000)
        assert all(len(line) < MAX_LINE + 200 for line in program.look(ended))


class TestHarmless:
    @pytest.mark.parametrize(
        ("printed", "shown"),
        [
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07x", "x"),
            (b"a\x1b[2J\x1b[Hb", "ab"),
            (b"a\x1bcb", "a\\x1bcb"),
            (b"a\x00b", "a\\x00b"),
            ("\u202egnp.exe".encode(), "\\u202egnp.exe"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"a\tb", "a\tb"),
            (b"::group::Post Execute", ": :group::Post Execute"),
            (b"::\x1b[0mendgroup::", ": :endgroup::"),
            (b'", "level": "critical', '", "level": "critical'),
        ],
    )
    def test_nothing_steers_a_terminal_or_the_page(self, printed, shown):
        assert split_lines(printed + b"\n", ended=False)[0] == [f"{MARK}{shown}"]

    def test_no_line_of_a_program_is_taken_for_the_services(self, program, folder):
        _print(folder, "C204: the run was canceled\n")
        assert program.look()[0].startswith(MARK)

    def test_a_text_on_one_line_stays_on_one(self):
        assert visible("a\nb\u2028c\x85d") == "a\\nb\\u2028c\\x85d"


class TestLastWords:
    def test_the_last_lines_that_say_something_are_the_last_words(self, program, folder):
        _print(folder, "".join(f"line {number}\n\n" for number in range(100)))
        assert program.last_words() == [f"line {number}" for number in range(90, 100)]

    def test_they_do_not_begin_in_the_midst_of_a_line(self, program, folder):
        _print(folder, "x" * 5000 + "\nshort\n")
        assert program.last_words() == ["short"]
