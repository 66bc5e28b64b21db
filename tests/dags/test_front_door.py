"""The front door over HTTP: who is let in, what is answered, and that nothing secret is."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from zipfile import ZipFile, is_zipfile

import pytest
from appasking import created_app
from frontdoorfakes import CANCEL_PATCH, FILES, SHOWN_RUN, FakeService, Http
from late import Late
from samples import MODEL_ID, training

from trainyard.core.accounts import Caller
from trainyard.core.retraining import Look, Retrained, ScheduleState, Settled
from trainyard.core.runs import Filter
from trainyard.core.schedules import Entry
from trainyard.core.starts import Start
from trainyard.domain.outcome import Outcome
from trainyard.domain.schedule import Progress, Schedule
from trainyard.domain.states import Phase, State
from trainyard.errors import Problem, TrainyardError
from trainyard.stores.base import StoreError, Why
from trainyard.stores.refusals import refusal

archive = Late("trainyard.api.archive")

pytestmark = pytest.mark.xdist_group("airflow")


_ADA = Caller("ada")


@pytest.fixture
def service():
    return FakeService()


@pytest.fixture
def app(service, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("TRAINYARD_ZIP_MAX_BYTES", "10")
    monkeypatch.setenv("TRAINYARD_MANIFEST_MAX_BYTES", "20")
    made = created_app()
    made.state.service = made.state.deleting = service
    return made


@pytest.fixture
def http(app):
    """The front door for somebody who is signed in."""
    from trainyard.api.auth import caller_of

    app.dependency_overrides[caller_of] = lambda: _ADA
    return Http(app)


class TestSubmitting:
    def test_a_submission_is_answered_with_the_model_id(self, http, service):
        answer = http.post("/models", files=FILES, data={"account": "vision"})
        assert answer.status_code == 202
        assert answer.json() == {
            "model_id": MODEL_ID,
            "url": f"/v3/models/{MODEL_ID}",
            "account": "vision",
            "warnings": ["line 3: odd"],
            "manifest": training().manifest,
        }
        assert service.asked == [("submit", b"name: x", b"PK", "vision", _ADA)]

    def test_a_commit_that_is_none_is_refused(self, http, service):
        answer = http.post("/models", files=FILES, data={"code": '{"commit": "main"}'})
        assert (answer.status_code, answer.json()["error"]["code"], service.asked) == (400, "C110", [])

    def test_several_runs_are_answered_with_all_model_ids(self, http, service):
        parts = [("manifest", ("a.yaml", b"name: a")), ("manifest", ("b.yaml", b"name: b")), ("zip", FILES["zip"])]
        answer = http.post("/models", files=parts, data={"experiment": "rates", "set": ["lr=0.1,0.01", "batch=32"]})
        assert answer.json()["model_ids"] == [MODEL_ID, "training-Xz81mQ0aB"]
        assert (answer.json()["model_id"], answer.json()["warnings"]) == (MODEL_ID, ["line 3: odd"])
        grid = {"lr": ("0.1", "0.01"), "batch": ("32",)}
        assert service.experiments == [("rates", grid, ["a.yaml", "b.yaml"])]

    def test_a_field_to_set_that_cannot_be_read_is_refused(self, http, service):
        answer = http.post("/models", files=FILES, data={"set": "lr"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")
        assert service.asked == []

    @pytest.mark.parametrize("data", [{}, {"account": ""}])
    def test_without_an_account_the_service_decides(self, http, service, data):
        http.post("/models", files=FILES, data=data)
        assert service.asked[0][3] is None

    def test_a_refusal_lists_all_problems(self, http, service):
        problems = [Problem("no name.", "Add it.", "name", 1, 1), Problem("no zip.", "Pack it.", code="C102")]
        service.refusal = TrainyardError.refused(problems)
        answer = http.post("/models", files=FILES)
        assert answer.status_code == 400
        assert answer.json() == {"error": service.refusal.as_dict()}

    def test_a_zip_that_is_too_large_is_not_received_to_its_end(self, http, service):
        answer = http.post("/models", files={**FILES, "zip": ("model.zip", b"12345678901")})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "C109")
        assert service.asked == []

    def test_of_a_manifest_that_is_too_large_just_enough_is_read(self, http, service):
        http.post("/models", files={**FILES, "manifest": ("job.yaml", b"#" * 100)})
        assert service.asked[0][1] == b"#" * 21

    def test_a_request_of_the_wrong_shape_is_refused_without_repeating_it(self, http):
        answer = http.post("/models", data={"manifest": "password: s3cret"}, files={"zip": FILES["zip"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")
        assert answer.json()["error"]["problems"]
        assert "s3cret" not in answer.text


class TestLooking:
    def test_a_run_is_told_with_times_to_the_second(self, http):
        assert {
            "model_id": MODEL_ID,
            "training_id": MODEL_ID,
            "name": "tf-mnist",
            "url": f"/v3/models/{MODEL_ID}",
            "state": "running",
            "phase": "training",
            "account": "vision",
            "framework": "tensorflow 2.16",
            "gpus": 1,
            "submitted_at": "2023-11-14T22:13:20Z",
            "running_at": "2023-11-14T22:14:20Z",
            "finished_at": None,
            "outcome": None,
            "left_out": None,
            "experiment": "",
            "waiting": None,
        }.items() <= http.get(f"/models/{MODEL_ID}").json().items()

    def test_the_times_of_an_outcome_are_told_as_all_others(self, http, service):
        ended = Outcome(exit_code=0, started_at=1_700_000_060.2, finished_at=1_700_000_100.9)
        service.run_there = replace(SHOWN_RUN, phase=Phase.DONE, outcome=ended)
        reported = http.get(f"/models/{MODEL_ID}").json()["outcome"]
        assert (reported["started_at"], reported["finished_at"]) == ("2023-11-14T22:14:20Z", "2023-11-14T22:15:00Z")

    def test_files_that_were_not_stored_are_told(self, http, service):
        left_out = {"count": 1, "files": [{"name": "result/latest", "reason": "is a link to nothing"}]}
        service.run_there = replace(SHOWN_RUN, left_out=left_out)
        assert http.get(f"/models/{MODEL_ID}").json()["left_out"] == left_out

    def test_a_run_that_waits_says_for_what(self, http, service):
        service.run_there = replace(SHOWN_RUN, phase=Phase.WAITING_FOR_GPU)
        assert http.get(f"/models/{MODEL_ID}").json()["waiting"] == "waiting for 2 GPUs"
        assert http.get("/models").json()["resources"][0]["waiting"] == "waiting for a GPU of the account"

    def test_a_run_whose_data_moves_says_how_far_it_is(self, http, service):
        assert http.get(f"/models/{MODEL_ID}").json()["transfer"] is None
        service.run_there = replace(SHOWN_RUN, phase=Phase.STAGING)
        found = http.get(f"/models/{MODEL_ID}").json()["transfer"]
        assert (found["files"], found["files_total"], found["at"]) == (3, 9, "2023-11-14T22:13:20Z")

    def test_filters_are_the_services_to_apply(self, http, service):
        query = {"state": ["error", "canceled"], "name": "mni", "experiment": "lr", "framework": "tensorflow"}
        assert http.get("/models", params={**query, "since": "2023-11-14T22:13:20+01:00"}).status_code == 200
        states = frozenset({State.ERROR, State.CANCELED})
        assert service.wanted == Filter(states, "mni", "lr", "tensorflow", 1_700_000_000.0 - 3600)

    def test_a_time_without_a_zone_is_in_utc(self, http, service):
        http.get("/models", params={"since": "2023-11-14T22:13:20"})
        assert service.wanted.since == 1_700_000_000.0

    def test_a_list_is_a_page(self, http, service):
        answer = http.get("/models", params={"limit": 5, "offset": 10}).json()
        assert (answer["total"], answer["limit"], answer["offset"]) == (41, 5, 10)
        assert [run["model_id"] for run in answer["resources"]] == [MODEL_ID]
        assert service.asked == [("runs", _ADA, 5, 10)]

    @pytest.mark.parametrize(
        "page",
        [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "many"}, {"state": "broken"}, {"since": "soon"}],
    )
    def test_a_page_that_cannot_be_is_refused(self, http, page):
        answer = http.get("/models", params=page)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    def test_a_run_that_is_not_there_is_404(self, http, service):
        service.refusal = TrainyardError("C107", "there is no run x", "List them.")
        assert http.get("/models/x").status_code == 404

    def test_frameworks_are_listed(self, http):
        names = {(row["name"], row["version"]) for row in http.get("/frameworks").json()["resources"]}
        assert ("pytorch", "2.4") in names


class TestCanceling:
    def test_a_run_is_canceled_by_the_patch_that_scripts_know(self, http, service):
        answer = http.patch(f"/models/{MODEL_ID}", json=CANCEL_PATCH)
        assert answer.status_code == 202
        assert answer.json()["state"] == "canceled"
        assert service.asked == [("cancel", MODEL_ID, _ADA)]

    @pytest.mark.parametrize(
        "patch",
        [
            [],
            CANCEL_PATCH * 2,
            [{**CANCEL_PATCH[0], "value": "completed"}],
            [{**CANCEL_PATCH[0], "path": "/name"}],
            {},
            "canceled",
        ],
    )
    def test_nothing_else_can_be_patched(self, http, service, patch):
        answer = http.patch(f"/models/{MODEL_ID}", json=patch)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")
        assert service.asked == []


class TestDeleting:
    def test_a_run_is_deleted_without_a_word(self, http, service):
        answer = http.delete(f"/models/{MODEL_ID}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["x-deleted-until"] == "2023-11-14T22:13:20Z"
        assert "x-deleted-until" not in http.delete(f"/models/{MODEL_ID}", params={"now": "true"}).headers
        assert service.asked == [("delete", MODEL_ID, _ADA)] * 2

    def test_one_that_was_deleted_is_brought_back(self, http, service):
        answer = http.post(f"/models/{MODEL_ID}/undelete")
        assert (answer.status_code, answer.json()["model_id"]) == (200, MODEL_ID)
        assert service.asked == [("undelete", MODEL_ID, _ADA)]

    def test_a_run_that_is_going_is_a_conflict(self, http, service):
        service.refusal = TrainyardError("C108", "it is still going", "Cancel it.")
        assert http.delete(f"/models/{MODEL_ID}").status_code == 409


class TestLogs:
    @pytest.fixture
    def log(self, tmp_path):
        path = tmp_path / "workspace" / "runs" / MODEL_ID / MODEL_ID / "logs" / "learner-1" / "training-log.txt"
        path.parent.mkdir(parents=True)
        return path

    def test_what_the_program_has_written_is_returned(self, http, log):
        log.write_bytes("epoch 1 – größer\n".encode())
        answer = http.get(f"/models/{MODEL_ID}/logs")
        assert answer.text == "epoch 1 – größer\n"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    def test_a_long_log_comes_whole(self, http, log):
        log.write_bytes(b"0123456789\n" * 30_000)
        assert http.get(f"/models/{MODEL_ID}/logs").content == log.read_bytes()

    def test_a_run_that_has_not_started_has_no_log_yet(self, http):
        answer = http.get(f"/models/{MODEL_ID}/logs")
        assert (answer.status_code, answer.text) == (200, "")

    def test_a_run_whose_program_never_ran_has_its_reason_instead(self, http, service):
        service.run_there = replace(SHOWN_RUN, phase=Phase.DONE, outcome=Outcome("C103", "there is no bucket x"))
        answer = http.get(f"/models/{MODEL_ID}/logs")
        assert answer.text == "The program wrote nothing. C103: there is no bucket x\n"

    @pytest.mark.parametrize(
        ("last", "text"),
        [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (3, "one\ntwo\nthree\n"), (9, "one\ntwo\nthree\n")],
    )
    def test_the_last_lines_may_be_asked_for(self, http, log, last, text):
        log.write_text("one\ntwo\nthree\n")
        answer = http.get(f"/models/{MODEL_ID}/logs", params={"last": last})
        assert answer.text == text
        assert int(answer.headers["x-log-offset"]) == len("one\ntwo\nthree\n") - len(text)

    def test_a_last_line_without_an_end_is_a_line(self, http, log):
        log.write_text("one\ntwo\nthr")
        assert http.get(f"/models/{MODEL_ID}/logs", params={"last": 2}).text == "two\nthr"

    def test_the_last_lines_of_a_long_log_are_found(self, http, log):
        log.write_bytes(b"0123456789\n" * 30_000)
        assert http.get(f"/models/{MODEL_ID}/logs", params={"last": 20_000}).content == b"0123456789\n" * 20_000

    def test_lines_are_looked_for_in_the_end_of_a_huge_log_alone(self, http, log, monkeypatch):
        monkeypatch.setattr("trainyard.api.logs._MAX_LOOK_BACK", 600_000)
        with log.open("wb") as file:
            file.truncate(10 * 2**30)  # ten gigabytes without an end of line, which take no room
        answer = http.get(f"/models/{MODEL_ID}/logs", params={"last": 5})
        assert (len(answer.content), int(answer.headers["x-log-offset"])) == (600_000, 10 * 2**30 - 600_000)

    def test_reading_goes_on_behind_what_was_had_already(self, http, log):
        log.write_text("one\ntwo\n")
        answer = http.get(f"/models/{MODEL_ID}/logs", params={"offset": 4})
        assert (answer.text, answer.headers["x-log-offset"]) == ("two\n", "4")

    def test_only_one_place_to_begin_can_be_named(self, http, log):
        answer = http.get(f"/models/{MODEL_ID}/logs", params={"offset": 4, "last": 1})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    @pytest.mark.parametrize("query", [{}, {"follow": True}])
    def test_a_log_that_is_only_in_the_bucket_is_read_from_there(self, http, service, query):
        service.run_there = replace(SHOWN_RUN, phase=Phase.DONE, outcome=Outcome())
        service.store.contents["learner-1/training-log.txt"] = b"one\ntwo\n" * 20_000
        assert http.get(f"/models/{MODEL_ID}/logs", params=query).content == b"one\ntwo\n" * 20_000
        assert http.get(f"/models/{MODEL_ID}/logs", params={**query, "last": 1}).text == "two\n"

    def test_following_a_run_ends_with_the_run_and_misses_nothing(self, http, service, log):
        log.write_text("first\n")
        looks = iter([SHOWN_RUN, SHOWN_RUN, replace(SHOWN_RUN, phase=Phase.DONE, outcome=Outcome())])

        def look(model_id, caller):
            found = next(looks)
            if found.phase is Phase.DONE:
                log.write_text("first\nlast\n")
            return found

        service.run = look
        assert http.get(f"/models/{MODEL_ID}/logs", params={"follow": True}).text == "first\nlast\n"

    def test_the_log_of_a_run_of_others_is_not_there(self, http, service, log):
        log.write_text("theirs\n")
        service.refusal = TrainyardError("C107", "there is no run", "List them.")
        answer = http.get(f"/models/{MODEL_ID}/logs")
        assert answer.status_code == 404
        assert "theirs" not in answer.text


class TestResults:
    @pytest.fixture
    def weights(self, service):
        service.store.contents = {"learner-1/training-log.txt": b"done\n", "model/größe 1.h5": bytes(range(256)) * 999}
        return service.store.contents["model/größe 1.h5"]

    def test_what_a_run_has_stored_is_listed_with_sizes(self, http, weights):
        answer = http.get(f"/models/{MODEL_ID}/results").json()
        sizes = {row["name"]: row["size"] for row in answer["resources"]}
        assert sizes == {"learner-1/training-log.txt": 5, "model/größe 1.h5": len(weights)}
        assert answer["continuation"] is None

    def test_the_listing_comes_in_pages_that_lead_on_and_end(self, http, service):
        service.store.contents = {f"{number}.txt": b"x" for number in range(5)}
        found, place = [], f"/models/{MODEL_ID}/results?limit=2"
        for _ in range(3):
            page = http.get(place).json()
            found += [row["name"] for row in page["resources"]]
            place = f"/models/{MODEL_ID}/results?limit=2&continuation={page['continuation']}"
        assert (found, page["continuation"]) == (sorted(service.store.contents), None)

    def test_a_file_is_streamed_as_it_is(self, http, weights):
        answer = http.get(f"/models/{MODEL_ID}/results/model/größe 1.h5")
        assert (answer.status_code, answer.content) == (200, weights)
        assert answer.headers["content-length"] == str(len(weights))
        assert answer.headers["content-type"] == "application/octet-stream"

    def test_a_download_goes_on_where_it_broke_off(self, http, weights):
        place = f"/models/{MODEL_ID}/results/model/größe 1.h5"
        answer = Http(http.app, {"Range": "bytes=70000-"}).get(place)
        assert (answer.status_code, answer.content) == (206, weights[70000:])
        assert answer.headers["content-range"] == f"bytes 70000-{len(weights) - 1}/{len(weights)}"

    @pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-5", "lines=3-", "bytes=1-2"])
    def test_a_range_that_makes_no_sense_here_gets_the_whole(self, http, weights, asked):
        answer = Http(http.app, {"Range": asked}).get(f"/models/{MODEL_ID}/results/model/größe 1.h5")
        assert (answer.status_code, answer.content) == (200, weights)

    @pytest.mark.parametrize("name", ["nothing", "model", "..%2f..%2fother/x", "model/"])
    def test_what_is_not_there_is_404(self, http, weights, name):
        answer = http.get(f"/models/{MODEL_ID}/results/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "C107")

    def test_all_of_it_comes_as_one_zip(self, http, service, weights):
        answer = http.get(f"/models/{MODEL_ID}/results.zip")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        with ZipFile(io.BytesIO(answer.content)) as packed:
            assert packed.testzip() is None
            assert {name: packed.read(name) for name in packed.namelist()} == service.store.contents
            assert packed.read("model/größe 1.h5") == weights

    def test_a_zip_of_nothing_or_of_too_much_is_refused(self, http, service):
        service.store.contents = {}
        assert http.get(f"/models/{MODEL_ID}/results.zip").json()["error"]["code"] == "C107"
        service.store.contents = {f"{number}": b"" for number in range(archive.MAX_FILES + 1)}
        answer = http.get(f"/models/{MODEL_ID}/results.zip")
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "C109")
        service.store.contents = {"../../.bashrc": b"x"}
        assert http.get(f"/models/{MODEL_ID}/results.zip").json()["error"]["code"] == "C103"

    def test_a_zip_whose_store_fails_meanwhile_does_not_look_whole(self, service):
        def gone(key):
            if key == "b":
                raise refusal(Why.UNREACHABLE, service.store.place, "read from", key)

        service.store.contents, service.store.on_get = {"a": b"x" * 200_000, "b": b"y", "c": b"z"}, gone
        sent = io.BytesIO()
        with pytest.raises(StoreError):
            archive.write_archive(service.store, list(service.store.list()), sent)
        assert len(sent.getvalue()) > 100_000
        assert not is_zipfile(sent)

    def test_a_store_that_fails_before_the_first_byte_is_an_error_and_no_empty_file(self, http, service, weights):
        def gone(key):
            raise refusal(Why.UNREACHABLE, service.store.place, "read from", key)

        service.store.on_get = gone
        answer = http.get(f"/models/{MODEL_ID}/results/learner-1/training-log.txt")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "S302")


class TestSigningIn:
    """Over Airflow's own auth manager, here the simple one with two users."""

    @pytest.fixture
    def signed_in(self, app, database, monkeypatch):
        from airflow.api_fastapi import app as airflow_app
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        manager = airflow_app.create_auth_manager()
        manager.init()

        def client(name, role):
            token = manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role))
            return Http(app, {"Authorization": f"Bearer {token}"})

        return client

    @pytest.mark.parametrize(("name", "role", "admin"), [("ada", "user", False), ("root", "admin", True)])
    def test_a_token_says_who_is_calling(self, signed_in, service, name, role, admin):
        assert signed_in(name, role).get("/models").status_code == 200
        assert service.asked[0][1] == Caller(name, admin)

    @pytest.mark.parametrize("header", [None, "Bearer", "Basic YWRhOmFkYQ==", "Bearer not-a-token", "Bearer a.b.c"])
    @pytest.mark.parametrize(
        ("verb", "path"),
        [
            ("GET", "/models"),
            ("POST", "/models"),
            ("GET", f"/models/{MODEL_ID}"),
            ("PATCH", f"/models/{MODEL_ID}"),
            ("DELETE", f"/models/{MODEL_ID}"),
            ("GET", f"/models/{MODEL_ID}/logs"),
            ("GET", f"/models/{MODEL_ID}/results"),
            ("GET", f"/models/{MODEL_ID}/results/model/weights.h5"),
            ("GET", "/frameworks"),
            ("GET", "/datasets"),
        ],
    )
    def test_nothing_is_told_or_done_without_a_token(self, signed_in, app, service, header, verb, path):
        answer = Http(app, {"Authorization": header} if header else {}).ask(verb, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "C105")
        assert service.asked == []


_ROUTES = {
    "/models": {"get": {400, 401}, "post": {400, 401, 403, 413}},
    "/models/{model_id}": {"get": {401, 404}, "patch": {400, 401, 404, 409}, "delete": {401, 404, 409}},
    "/models/{model_id}/logs": {"get": {400, 401, 404}},
    "/models/{model_id}/results": {"get": {401, 404}},
    "/models/{model_id}/results/{name}": {"get": {401, 404}},
    "/models/{model_id}/results.zip": {"get": {401, 404, 413}},
    "/frameworks": {"get": {401}},
    "/datasets": {"get": {401, 500}},
}


def test_every_route_is_described_with_a_summary_and_its_refusals(app):
    described = Http(app).get("/openapi.json").json()
    for path, verbs in _ROUTES.items():
        for verb, statuses in verbs.items():
            route = described["paths"][path][verb]
            assert route["summary"]
            assert route["description"]
            assert {str(status) for status in statuses} <= set(route["responses"])
            assert "422" not in route["responses"]
            for status in statuses:
                shape = route["responses"][str(status)]["content"]["application/json"]["schema"]
                assert shape == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_an_error_has_the_shape_that_is_described(http, app, service):
    service.refusal = TrainyardError.refused([Problem("no name.", "Add it.", "name", 1, 1)])
    sent = http.get("/models").json()["error"]
    shapes = Http(app).get("/openapi.json").json()["components"]["schemas"]
    assert set(shapes["ErrorInside"]["properties"]) == set(sent)
    assert set(shapes["ProblemAnswer"]["properties"]) == set(sent["problems"][0])


class _Retraining:
    """Notes what it is asked for and answers with one schedule."""

    def __init__(self):
        self.asked = []
        made = training()
        entry = Entry(MODEL_ID, Schedule(cron="0 3 * * *", timezone="Europe/Berlin", until=1.8e9), Progress(0.0))
        self.seen = Retrained(made, entry, ScheduleState.ACTIVE, 1.7e9, "training-Xz81mQ0aB")

    def of(self, training_id):
        return self.seen if training_id == MODEL_ID else None

    def all(self, caller, limit, offset):
        self.asked.append(("all", caller, limit, offset))
        return [self.seen], 3

    def one(self, training_id, caller):
        self.asked.append(("one", training_id, caller))
        return self.seen

    def set(self, training_id, state, caller):
        self.asked.append(("set", training_id, state, caller))
        return replace(self.seen, state=state)

    def settle(self, caller):
        self.asked.append(("settle", caller))
        return Settled(["training-a"], [Look("training-b", 5.0)])

    def looked(self, *found):
        self.asked.append(("looked", *found))
        return "training-c"


class _Rerunning:
    """Notes what it is asked for and answers with one start."""

    def __init__(self):
        self.asked = []

    def rerun(self, *asked):
        self.asked.append(asked)
        return Start("training-again0000", MODEL_ID, "ada", 1.0, parent=MODEL_ID)


class TestNaming:
    def test_me_is_whoever_asks(self, http, service):
        http.get("/models", params={"owner": "@me"})
        assert service.wanted.owner == "ada"

    def test_what_a_text_may_stand_for_is_looked_for_alone(self, http, service):
        service.matching = lambda text, caller, deleted: (
            [service.run_there] if (text, caller) == ("6fgtt", _ADA) else []
        )
        found = http.get("/models", params={"match": "6fgtt"}).json()
        assert ([run["model_id"] for run in found["resources"]], found["total"]) == ([MODEL_ID], 1)


class TestRerunning:
    @pytest.fixture
    def rerunning(self, app, service):
        app.state.rerunning = _Rerunning()
        service.catalogue = SimpleNamespace(get=lambda training_id: training(training_id))
        return app.state.rerunning

    def test_a_run_is_run_again_with_what_is_changed(self, http, rerunning):
        body = {"set": {"lr": 0.02, "note": "x"}, "size": "large", "exact": True, "name": "b"}
        answer = http.post(f"/models/{MODEL_ID}/rerun", json=body)
        assert answer.status_code == 202
        assert answer.json() == {
            "model_id": "training-again0000",
            "url": "/v3/models/training-again0000",
            "account": "vision",
            "parent": MODEL_ID,
        }
        assert rerunning.asked == [(MODEL_ID, {"lr": 0.02, "note": "x", "size": "large"}, True, _ADA, "", False, "b")]

    @pytest.mark.parametrize(
        "body", [{"set": {"lr": [1]}}, {"set": {"lr": None}}, {"exact": "perhaps"}, {"owner": "grace"}, {"parent": "x"}]
    )
    def test_nothing_else_is_taken(self, http, rerunning, body):
        assert http.post(f"/models/{MODEL_ID}/rerun", json=body).json()["error"]["code"] == "C110"
        assert rerunning.asked == []


class TestSchedules:
    @pytest.fixture
    def retraining(self, app):
        app.state.retraining = _Retraining()
        app.state.starting = SimpleNamespace(settle=lambda caller: [f"training-of-{caller.name}"])
        return app.state.retraining

    def test_the_list_tells_of_each_when_it_is_due_and_what_ran_last(self, http, retraining):
        answer = http.get("/schedules?limit=10&offset=2").json()
        assert retraining.asked == [("all", _ADA, 10, 2)]
        assert (answer["total"], answer["limit"], answer["offset"]) == (3, 10, 2)
        assert answer["resources"] == [
            {
                "training_id": MODEL_ID,
                "url": f"/v3/schedules/{MODEL_ID}",
                "name": "tf-mnist",
                "account": "vision",
                "schedule": "0 3 * * * Europe/Berlin",
                "every_seconds": None,
                "until": "2027-01-15T08:00:00Z",
                "overlap": "skip",
                "state": "active",
                "next_at": "2023-11-14T22:13:20Z",
                "waiting": False,
                "last_run": "training-Xz81mQ0aB",
                "note": "",
            }
        ]

    def test_one_is_shown_by_its_trainings_id_and_with_its_runs(self, http, retraining):
        assert http.get(f"/schedules/{MODEL_ID}").json()["state"] == "active"
        assert http.get(f"/models/{MODEL_ID}").json()["schedule"]["next_at"] == "2023-11-14T22:13:20Z"

    @pytest.mark.parametrize("state", ["paused", "active", "ended"])
    def test_it_is_changed_by_a_json_patch(self, http, retraining, state):
        patch = [{"op": "replace", "path": "/state", "value": state}]
        assert http.patch(f"/schedules/{MODEL_ID}", json=patch).json()["state"] == state
        assert retraining.asked == [("set", MODEL_ID, ScheduleState(state), _ADA)]

    @pytest.mark.parametrize(
        "patch",
        [
            [],
            [{"op": "remove", "path": "/state"}],
            [{"op": "replace", "path": "/cron", "value": "* * * * *"}],
            [{"op": "replace", "path": "/state", "value": "asleep"}],
            [{"op": "replace", "path": "/state", "value": ["paused"]}],
            [{"op": "replace", "path": "/state", "value": "paused"}] * 2,
        ],
    )
    def test_any_other_patch_is_refused(self, http, retraining, patch):
        answer = http.patch(f"/schedules/{MODEL_ID}", json=patch)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")
        assert retraining.asked == []

    def test_the_services_own_task_starts_what_is_due_and_tells_what_it_saw(self, http, retraining):
        due = http.post("/schedules/due").json()
        assert due["started"] == ["training-of-ada", "training-a"]
        assert due["looks"] == [{"training_id": "training-b", "due": 5.0}]
        found = http.post("/schedules/training-b/looks", json={"due": 5.0, "version": "v2"})
        assert found.json() == {"started": "training-c"}
        assert retraining.asked == [("settle", _ADA), ("looked", "training-b", 5.0, "v2", "", _ADA)]
