"""What a run has made so far: listed and opened while its program does with the folder what it likes."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from samples import MODEL_ID, RUN

from trainyard.core.accounts import Caller
from trainyard.core.audit.recording import Audit
from trainyard.core.livefiles import LiveFiles
from trainyard.core.runs import Run
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import Workspace

GOING = Run(MODEL_ID, MODEL_ID, "tf-mnist", "vision", "tensorflow 2.16", 1, Phase.TRAINING, 1.7e9)
ENDED = replace(GOING, phase=Phase.DONE, outcome=Outcome(exit_code=0))
ADA = Caller("ada")


@pytest.fixture
def folder(tmp_path):
    made = Workspace(tmp_path).run(RUN).result
    made.mkdir(parents=True)
    return made


@pytest.fixture
def events():
    return []


@pytest.fixture
def live(tmp_path, events):
    return of(GOING, tmp_path, events)


def of(run, tmp_path, events):
    def find(model_id, caller):
        if caller.name == "mallory":
            raise TrainyardError("C107", "there is no such run")
        return run

    return LiveFiles(find, Workspace(tmp_path), Audit(events.append))


def test_files_come_page_by_page_in_the_order_of_their_names(live, folder):
    (folder / "model").mkdir()
    for name in ("b.txt", "model/weights", "a.txt", "model.txt"):
        (folder / name).write_text(name)
    first = live.page(MODEL_ID, ADA, 3)
    assert ([name for name, _ in first.files], first.more) == (["a.txt", "b.txt", "model.txt"], True)
    rest = live.page(MODEL_ID, ADA, 3, "model.txt")
    assert (rest.files, rest.more) == ([("model/weights", 13)], False)


def test_a_run_that_has_made_nothing_has_no_files(live):
    assert live.page(MODEL_ID, ADA, 10).files == []


def test_links_pipes_and_names_that_are_no_text_are_counted_and_not_listed(live, folder, tmp_path):
    (tmp_path / "secret").write_text("of somebody else")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    open(os.fsencode(folder) + b"/\xff", "w").close()
    (folder / "kept").touch()
    found = live.page(MODEL_ID, ADA, 10)
    assert (found.files, found.others) == ([("kept", 0)], 4)


@pytest.mark.parametrize(
    "name", ["link", "up/secret", "pipe", "../secret", "/etc/passwd", "", "a//b", "gone", "folder"]
)
def test_nothing_outside_and_nothing_but_files_is_opened(live, folder, tmp_path, name):
    (folder.parent / "secret").write_text("of the service")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "up").symlink_to(folder.parent)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(TrainyardError) as refused:
        live.opened(MODEL_ID, ADA, name)
    assert refused.value.code.code == "C107"


def test_a_file_is_opened_and_who_reads_it_is_recorded(live, folder, events):
    (folder / "made").write_text("so far")
    with live.opened(MODEL_ID, ADA, "made") as file:
        assert file.read() == b"so far"
    assert [(event.actor, event.action, event.details["name"]) for event in events] == [("ada", "results.read", "made")]


def test_a_run_that_has_ended_is_refused_with_where_its_results_are(tmp_path, events):
    with pytest.raises(TrainyardError) as refused:
        of(ENDED, tmp_path, events).page(MODEL_ID, ADA, 10)
    assert (refused.value.code.code, MODEL_ID in refused.value.hint) == ("C108", True)


def test_members_of_other_accounts_find_no_run_and_are_recorded(live, events):
    with pytest.raises(TrainyardError):
        live.page(MODEL_ID, Caller("mallory"), 10)
    assert [(event.actor, event.result) for event in events] == [("mallory", "refused")]
