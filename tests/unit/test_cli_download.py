"""`trainyard download`."""

from __future__ import annotations

import pytest

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
FILES = {"model/weights.h5": b"0123456789" * 1000, "learner-1/training-log.txt": b"done\n", "empty": b""}


@pytest.fixture
def stored(front_door):
    front_door.add(ID, state="completed", phase="done")
    front_door.results[ID] = dict(FILES)
    return front_door


def _files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _downloads(front_door):
    return [path for path in front_door.paths("GET") if "/results/" in path]


def test_everything_a_run_has_stored_comes_into_a_folder_of_its_name(cli, stored, home):
    done = cli("download", ID)
    assert _files(home / ID) == FILES
    assert done.out == (
        f"Downloading the results of '{ID}' ...\nOK\n3 files, {sum(map(len, FILES.values()))} bytes are in {ID}\n"
    )
    assert (done.code, done.err) == (0, "")


def test_json_names_the_files_with_their_sizes(cli, stored):
    data = cli("download", ID, "here", "-o", "json").data
    assert data["files"] == {name: len(content) for name, content in FILES.items()}
    assert data["folder"] == "here"


def test_a_download_goes_on_where_the_connection_broke(cli, stored, home):
    stored.cut_results = [4000, 3000]
    assert cli("download", ID).code == 0
    assert _files(home / ID) == FILES
    assert len(_downloads(stored)) == 5


def test_what_is_there_already_is_not_fetched_again(cli, stored, home):
    cli("download", ID)
    (home / ID / "empty").unlink()
    assert cli("download", ID).code == 0
    assert _downloads(stored)[3:] == [f"/v3/models/{ID}/results/empty"]


def test_nothing_is_half_written_and_what_came_is_kept_for_the_next_time(cli, stored, home):
    stored.cut_results = [4000, 0, 0, 0, 0, 0]
    assert cli("download", ID).code == 1
    (kept,) = _files(home / ID)
    assert kept.startswith(".trainyard-download/")
    stored.cut_results = []
    assert cli("download", ID).code == 0
    assert _files(home / ID) == FILES


def test_a_file_that_differs_is_written_over_with_force_only(cli, stored, home):
    (home / ID).mkdir()
    (home / ID / "empty").write_text("mine")
    refused = cli("download", ID)
    assert (refused.code, _downloads(stored)) == (2, [])
    assert "--force" in refused.err
    assert cli("download", ID, "--force").code == 0
    assert _files(home / ID) == FILES


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "a\0b", ".trainyard-download/x"])
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_written(cli, stored, home, name):
    stored.results[ID][name] = b"evil"
    assert cli("download", ID).code == 1
    assert not (home / ID).exists()
    assert _downloads(stored) == []


@pytest.mark.parametrize("name", ["epoch:1.txt", "größe %41 ?#.txt", "a b/c\nd"])
def test_odd_names_are_kept(cli, stored, home, name):
    stored.results[ID] = {name: b"x"}
    assert cli("download", ID).code == 0
    assert _files(home / ID) == {name: b"x"}


def test_a_file_that_changed_in_size_meanwhile_is_no_success(cli, stored, home, monkeypatch):
    from trainyard.answers.runs import StoredFile
    from trainyard.client.rest import RestClient

    monkeypatch.setattr(RestClient, "results", lambda *_: [StoredFile(name="empty", size=3)])
    done = cli("download", ID)
    assert done.code == 1
    assert "S305" in done.err
    assert _files(home / ID) == {}


def test_a_run_that_is_going_has_nothing_to_download_yet(cli, front_door, home):
    front_door.add(ID, state="running", phase="training")
    done = cli("download", ID)
    assert done.code == 1
    assert "error C108" in done.err
    assert not (home / ID).exists()


def test_a_run_that_stored_nothing_is_told_as_such(cli, front_door):
    front_door.add(ID, state="error", phase="done")
    assert "has stored nothing" in cli("download", ID).err


class TestNow:
    """`--now`: what a run has made so far."""

    @pytest.fixture
    def going(self, front_door):
        front_door.add(ID, state="running", phase="training")
        front_door.results[ID] = dict(FILES)
        front_door.live[ID] = {name: len(content) for name, content in FILES.items()}
        return front_door

    def test_what_is_there_comes_into_a_folder_of_its_own_as_often_as_it_is_asked_for(self, cli, going, home):
        for _ in range(2):
            done = cli("download", ID, "--now")
            assert (done.code, _files(home / f"{ID}-now")) == (0, FILES)
            going.results[ID]["empty"] = FILES["empty"]
        assert "warning: 2 of the entries are no files and were left out" in done.err

    def test_what_vanishes_and_what_grows_meanwhile_is_told_and_is_no_failure(self, cli, going, home):
        going.live[ID] |= {"gone": 5, "empty": 99}
        done = cli("download", ID, "here", "--now", "-o", "json")
        assert (done.code, _files(home / "here")) == (0, FILES)
        assert done.data["notes"][1:] == [
            "empty changed while it was read: 99 bytes were listed, 0 came",
            "gone is not there any more",
        ]

    def test_a_folder_of_ones_own_is_not_written_over_unasked(self, cli, going, home):
        (home / "here").mkdir()
        (home / "here" / "empty").write_text("mine")
        assert cli("download", ID, "here", "--now").code == 2
        assert _files(home / "here") == {"empty": b"mine"}
        assert cli("download", ID, "here", "--now", "--force").code == 0

    def test_a_name_that_leads_out_of_the_folder_is_refused(self, cli, going, home):
        going.live[ID] = {"../outside": 3}
        assert cli("download", ID, "--now").code == 1
        assert not (home / "outside").exists()
