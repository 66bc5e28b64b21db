"""What a run has made so far, over HTTP."""

from __future__ import annotations

import pytest
from appasking import created_app
from frontdoorfakes import SHOWN_RUN, Http
from samples import MODEL_ID, RUN

from trainyard.core.accounts import Caller
from trainyard.core.audit.recording import NO_AUDIT
from trainyard.core.livefiles import LiveFiles
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")
_PLACE = f"/models/{MODEL_ID}/files"


@pytest.fixture
def folder(tmp_path):
    made = Workspace(tmp_path).run(RUN).result
    (made / "model").mkdir(parents=True)
    return made


@pytest.fixture
def http(tmp_path):
    app = created_app()
    from trainyard.api.auth import caller_of

    app.state.live_files = LiveFiles(lambda model_id, caller: SHOWN_RUN, Workspace(tmp_path), NO_AUDIT)
    app.dependency_overrides[caller_of] = lambda: Caller("ada")
    return Http(app)


def test_files_are_listed_page_by_page_and_each_is_streamed(http, folder):
    weights = b"0123456789" * 100_000
    (folder / "model" / "weights.h5").write_bytes(weights)
    (folder / "log.txt").write_text("so far")
    (folder / "link").symlink_to("/etc/passwd")
    first = http.get(_PLACE, params={"limit": 1}).json()
    assert (first["resources"], first["continuation"]) == ([{"name": "log.txt", "size": 6}], "log.txt")
    rest = http.get(_PLACE, params={"continuation": "log.txt"}).json()
    assert [row["name"] for row in rest["resources"]] == ["model/weights.h5"]
    assert (rest["continuation"], rest["others"], rest["whole"]) == (None, 1, True)
    answer = http.get(f"{_PLACE}/model%2Fweights.h5")
    assert (answer.content == weights, answer.headers["x-content-type-options"]) == (True, "nosniff")


@pytest.mark.parametrize("name", ["gone", "link", "..%2F..%2Fsecret", "model"])
def test_what_is_no_file_of_the_run_is_not_there(http, folder, name):
    (folder / "link").symlink_to("/etc/passwd")
    answer = http.get(f"{_PLACE}/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "C107")


def test_of_a_file_that_is_written_to_no_more_comes_than_was_there(http, folder):
    from trainyard.api.livefiles import _CHUNK

    with (folder / "grows").open("wb") as file:
        file.truncate(_CHUNK + 1)
        answer = http.get(f"{_PLACE}/grows")
    assert len(answer.content) == _CHUNK + 1
