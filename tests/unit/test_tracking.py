"""A run that has ended is told to its MLflow server once, in its names and amounts, whatever that server does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from fakemlflow import FakeMLflow, Handler, Harm
from samples import MODEL_ID, RUN, SPEC, training

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.tracked import Tracked, read_tracked
from trainyard.domain.training import StoreRef
from trainyard.steps.track import AWAY_SECONDS, HASTY_SECONDS, track
from trainyard.tracking import mlflow
from trainyard.tracking.record import MAX_ALL_POINTS, MAX_POINTS, Record, metrics_of, record_of
from trainyard.tracking.server import MAX_ANSWER_BYTES, Server, TrackingError
from trainyard.workspace.layout import Workspace
from trainyard.workspace.metrics.curves import Curve
from trainyard.workspace.metrics.state import MetricsState
from trainyard.workspace.metrics.stored import to_lines

SECRET = "t0k3n-of-the-tracker"
ABOUT = {"owner": "ada", "account": "vision", "experiment": "", "data_version": "v1", "zip_sha256": "0" * 64}
DONE = Outcome(exit_code=0, gpu_seconds=12.0, started_at=1_700_000_000.0, finished_at=1_700_000_060.0)


def curve(name: str, *values: float, source: str = "jsonl", steps: Callable[[int], float] = float) -> Curve:
    made = Curve(name, source)
    for at, value in enumerate(values, start=1):
        made.add(at, steps(at), 1_700_000_000.0 + at, value, 10_000)
    return made


def record(
    outcome: Outcome = DONE, *curves: Curve, key: RunKey = RUN, about: dict[str, str] | None = None, **changes: Any
) -> Record:
    made = training(**changes)
    return record_of(key, made.spec, made.plan, outcome, curves, {**ABOUT, **(about or {})}, now=1_700_000_100.0)


def send(fake: FakeMLflow, one: Record, seconds: float = 60.0) -> mlflow.Place:
    return mlflow.send(Server(fake.url, secret=SECRET), one, seconds, pauses=(0.0, 0.0))


def test_a_run_is_there_with_parameters_tags_metrics_and_how_it_ended() -> None:
    with FakeMLflow() as fake:
        place = send(
            fake, record(DONE, curve("loss", 0.5, 0.25), hyperparameters={"lr": 1e-05, "deep": True, "opt": "adam"})
        )
    run = fake.runs[place.run_id]
    assert fake.experiments == {SPEC.name: place.experiment_id}
    assert run["params"] == {
        "lr": "1e-05",
        "deep": "true",
        "opt": "adam",
        "trainyard.size": "small",
        "trainyard.gpus": "1",
        "trainyard.image": "registry.example.com/tensorflow:2.16",
        "trainyard.framework": "tensorflow 2.16",
        "trainyard.data_version": "v1",
        "trainyard.zip_sha256": "0" * 64,
    }
    assert (
        run["tags"]
        | {
            "trainyard.model_id": MODEL_ID,
            "trainyard.training_id": MODEL_ID,
            "trainyard.owner": "ada",
            "mlflow.user": "ada",
            "trainyard.account": "vision",
            "trainyard.state": "completed",
            "trainyard.outcome": "",
            "trainyard.artifacts": f"s3://training-results/{MODEL_ID}/",
        }
        == run["tags"]
    )
    assert [(each["key"], each["step"], each["value"]) for each in run["metrics"]] == [
        ("loss", 1, 0.5),
        ("loss", 2, 0.25),
    ]
    assert run["metrics"][0]["timestamp"] == 1_700_000_001_000
    assert (run["status"], run["start_time"], run["end_time"]) == ("FINISHED", 1_700_000_000_000, 1_700_000_060_000)


@pytest.mark.parametrize(
    ("outcome", "status", "state"),
    [
        (Outcome("C201", "exit code 1", exit_code=1), "FAILED", "error"),
        (Outcome("C204", "canceled"), "KILLED", "canceled"),
    ],
)
def test_runs_that_failed_or_were_canceled_say_so(outcome: Outcome, status: str, state: str) -> None:
    with FakeMLflow() as fake:
        run = fake.runs[send(fake, record(outcome)).run_id]
    assert (run["status"], run["tags"]["trainyard.state"], run["tags"]["trainyard.outcome"]) == (
        status,
        state,
        outcome.code,
    )


def test_the_experiment_is_the_runs_own_if_it_has_one_and_is_made_once() -> None:
    with FakeMLflow() as fake:
        ids = {
            send(fake, record(key=RunKey(MODEL_ID, other), about={"experiment": "grid"})).experiment_id
            for other in (MODEL_ID, "training-000000001")
        }
    assert list(fake.experiments) == ["grid"]
    assert len(ids) == 1
    assert len(fake.runs) == 2


def test_a_step_that_is_done_again_completes_its_run_and_makes_no_second_one() -> None:
    with FakeMLflow() as fake:
        first = send(fake, record(Outcome("S305", "results are not in the bucket"), curve("loss", 1.0)))
        assert send(fake, record(DONE, curve("loss", 1.0))) == first
    (run,) = fake.runs.values()
    assert (run["status"], run["tags"]["trainyard.outcome"]) == ("FINISHED", "")
    assert len(run["metrics"]) == 1


def test_a_run_of_the_same_id_of_another_training_is_another_run() -> None:
    with FakeMLflow() as fake:
        places = {send(fake, record(key=RunKey(of, MODEL_ID))).run_id for of in (MODEL_ID, "training-000000001")}
    assert len(places) == 2


def test_where_the_answer_to_a_run_that_was_made_is_lost_the_next_try_finds_it() -> None:
    lost = []

    def harm(handler: Handler, path: str) -> bool:
        if path != "runs/create" or lost:
            return False
        lost.append(path)
        handler.mlflow.answer(path, json.loads(handler.body))
        handler.reply(500, b"")
        return True

    with FakeMLflow(harm) as fake:
        send(fake, record())
    assert lost
    assert len(fake.runs) == 1


def test_points_go_a_thousand_at_a_time_thinned_so_that_peaks_survive() -> None:
    values = [1.0] * 9000
    values[4567], values[1234] = 99.0, -99.0
    with FakeMLflow() as fake:
        place = send(fake, record(DONE, *(curve(f"m{number}", *values) for number in range(20))))
    run = fake.runs[place.run_id]
    assert len(run["metrics"]) <= MAX_ALL_POINTS
    assert max(batch.get("metrics", 0) for batch in run["batches"]) == 1000
    assert {each["value"] for each in run["metrics"] if each["key"] == "m7"} == {1.0, 99.0, -99.0}
    assert [each["step"] for each in run["metrics"] if each["key"] == "m7"][-1] == 9000


def test_a_hundred_hyperparameters_and_a_thousand_metrics_keep_to_what_a_request_takes() -> None:
    curves = [curve(f"m{number}", *map(float, range(50))) for number in range(1000)]
    with FakeMLflow() as fake:
        place = send(fake, record(DONE, *curves, hyperparameters={f"p{number}": number for number in range(100)}))
    run = fake.runs[place.run_id]
    assert len(run["params"]) == 106
    assert len({each["key"] for each in run["metrics"]}) == 1000
    assert len(run["metrics"]) <= MAX_ALL_POINTS


def test_metrics_have_names_that_mlflow_takes_and_none_is_lost_for_that() -> None:
    names = ["acc@5", "acc#5", "val//loss", "../up", "/", "..a", "größe", "x" * 200]
    made = metrics_of([*(curve(name, 1.0) for name in names), curve("acc@5", 2.0, source="tensorboard")], 0.0)
    told = [each["key"] for each in made]
    assert told[:7] == ["acc_5", "jsonl/acc_5", "val/loss", "up", "metric", "_..a", "größe"]
    assert len(set(told)) == len(names) + 1


def test_steps_are_whole_and_times_are_ones_that_there_are() -> None:
    halves = metrics_of([curve("loss", 3.0, 2.0, 1.0, steps=lambda at: at / 2)], 0.0)
    assert [each["step"] for each in halves] == [1, 2, 3]
    odd = Curve("loss", "jsonl")
    for at, when in enumerate([None, -5.0, 1e300], start=1):
        odd.add(at, 1e300, when, 1.0, 100)
    assert {(each["timestamp"], each["step"]) for each in metrics_of([odd], 60.0)} == {
        (60_000, 1),
        (60_000, 2),
        (60_000, 3),
    }


def test_a_short_curve_is_told_whole() -> None:
    assert len(metrics_of([curve("loss", *map(float, range(MAX_POINTS)))], 0.0)) == MAX_POINTS


@pytest.mark.parametrize(
    ("store", "address"),
    [
        (StoreRef("bluemix_objectstore", "out", "https://keystone.example.com"), f"swift://out/{MODEL_ID}/"),
        (StoreRef("s3", "out", "", connection="team-bucket"), f"s3://out/{MODEL_ID}/"),
    ],
)
def test_the_address_of_the_artifacts_is_bucket_and_prefix(store: StoreRef, address: str) -> None:
    made = training()
    told = record_of(RUN, replace(made.spec, results=store), made.plan, DONE, (), ABOUT, now=0.0)
    assert told.tags["trainyard.artifacts"] == address
    assert told.tags["trainyard.artifacts_endpoint"] == store.endpoint


class TestSigningIn:
    @pytest.mark.parametrize(
        ("user", "secret", "header"),
        [("", "", ""), ("", "tök", "Bearer tÃ¶k"), ("ada", "pw", "Basic YWRhOnB3"), ("ada", "", "Basic YWRhOg==")],
    )
    def test_a_login_is_basic_and_a_password_alone_a_token(self, user: str, secret: str, header: str) -> None:
        with FakeMLflow() as fake:
            mlflow.send(Server(fake.url, user, secret), record(), 60.0, ())
        assert fake.logins == {header}

    def test_no_credential_is_in_the_servers_repr(self) -> None:
        assert SECRET not in repr(Server("http://a.example", "ada", SECRET))


def always(status: int, body: Any, **headers: str) -> Harm:
    def harm(handler: Handler, _: str) -> bool:
        handler.reply(status, body, **headers)
        return True

    return harm


def echo(handler: Handler, _: str) -> bool:
    login = handler.headers["authorization"]
    handler.reply(400, {"error_code": login, "message": login})
    return True


def huge(handler: Handler, _: str) -> bool:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(MAX_ANSWER_BYTES // 2**20 * 10):
        handler.wfile.write(b" " * 2**20)
    handler.mlflow.over.set()
    return True


def packed(handler: Handler, _: str) -> bool:
    handler.reply(200, b"\x1f\x8b" + bytes(100), **{"content-encoding": "gzip"})
    return True


def _dripped(handler: Handler, first: bytes) -> bool:
    handler.wfile.write(first)
    while not handler.mlflow.over.wait(0.02):
        handler.wfile.write(b"x")
    return True


def drip(handler: Handler, _: str) -> bool:
    return _dripped(handler, b"HTTP/1.1 200 OK\r\n\r\n")


def drip_headers(handler: Handler, _: str) -> bool:
    return _dripped(handler, b"HTTP/1.1 200 OK\r\nx-slow: ")


def silent(handler: Handler, _: str) -> bool:
    handler.mlflow.over.wait(240)
    return True


_NONE_OF = "its answer is none of MLflow's"
_IN_TIME = "it has not taken the run within 0.6 seconds"
HARMS = {
    "failing": (always(500, b""), "it answers 500", 3),
    "busy": (always(429, {"error_code": "REQUEST_LIMIT_EXCEEDED"}), "it answers 429 REQUEST_LIMIT_EXCEEDED", 3),
    "refusing": (always(403, b"no"), "it does not take the connection's login (403)", 1),
    "garbage": (always(200, b"<html>"), _NONE_OF, 1),
    "a list": (always(200, []), _NONE_OF, 1),
    "nested": (always(200, b"[" * 100_000), _NONE_OF, 1),
    "a long number": (always(200, b'{"experiment": ' + b"9" * 10_000 + b"}"), _NONE_OF, 1),
    "odd ids": (always(200, {"experiment": {"experiment_id": "1' OR '1"}}), _NONE_OF, 1),
    "packed": (packed, _NONE_OF, 1),
    "echoing": (echo, "it answers 400", 1),
    "huge": (huge, "its answer is larger than any of MLflow's", 1),
    "dripping": (drip, _IN_TIME, 1),
    "dripping headers": (drip_headers, _IN_TIME, 1),
    "silent": (silent, _IN_TIME, 1),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_server_that_does_harm_is_given_up_within_the_time_and_described_without_its_words(harm: str) -> None:
    does, reason, tries = HARMS[harm]
    began = time.monotonic()
    with FakeMLflow(does) as fake, pytest.raises(TrackingError) as caught:
        send(fake, record(), 0.6 if reason is _IN_TIME else 60.0)
    assert str(caught.value) == reason
    if reason is _IN_TIME:  # which may be over before the server has looked at what it was asked
        assert len(fake.asked) <= tries
        assert time.monotonic() - began < 60
    else:
        assert len(fake.asked) == tries


def test_a_resolver_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over, began = Event(), time.monotonic()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait(240) and [])
    with pytest.raises(TrackingError, match=r"has not taken the run within 0\.3 seconds"):
        mlflow.send(Server("http://mlflow.example.com"), record(), 0.3, ())
    assert time.monotonic() - began < 60
    over.set()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_followed_with_the_login(status: int) -> None:
    with FakeMLflow() as elsewhere, FakeMLflow(always(status, b"", location=f"{elsewhere.url}/")) as fake:
        with pytest.raises(TrackingError, match="sends its clients elsewhere"):
            send(fake, record())
        assert not elsewhere.asked


def test_a_server_that_is_started_again_gets_the_run() -> None:
    refused = iter([True, True, False])
    with FakeMLflow(lambda handler, _: bool(next(refused, False)) and always(503, b"")(handler, "")) as fake:
        assert send(fake, record())


def test_a_token_that_no_header_can_hold_is_told_by_nobody() -> None:
    with FakeMLflow() as fake, pytest.raises(TrackingError) as caught:
        mlflow.send(Server(fake.url, secret=f"{SECRET}\r\nx: y"), record(), 60.0, ())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


class World:
    """A workspace with a run that has told metrics, and an MLflow server or what is in its place."""

    def __init__(self, root: Any) -> None:
        self.workspace, self.reported = Workspace(root), list[str]()
        self.folder = self.workspace.run(RUN)
        self.folder.root.mkdir(parents=True)
        state = MetricsState()
        state.curves.put(curve("loss", 0.5, 0.25))
        with self.folder.metrics_stored.open("wb") as file:
            file.writelines(to_lines(state))

    def track(
        self, open_server: Callable[[], Server], seconds: float = 60.0, clock: Callable[[], float] = time.time
    ) -> Tracked:
        made = training()
        return track(
            "team-mlflow",
            open_server,
            RUN,
            made.spec,
            made.plan,
            DONE,
            ABOUT,
            self.workspace,
            self.reported.append,
            seconds,
            clock,
            pauses=(0.0, 0.0),
        )


@pytest.fixture
def world(tmp_path: Any) -> World:
    return World(tmp_path)


class TestTheStep:
    def test_it_says_where_the_run_is_and_sends_the_stored_metrics(self, world: World) -> None:
        with FakeMLflow() as fake:
            tracked = world.track(lambda: Server(fake.url))
        assert (tracked.connection, tracked.experiment_id, tracked.warning) == ("team-mlflow", "1", "")
        assert [each["value"] for each in fake.runs[tracked.run_id]["metrics"]] == [0.5, 0.25]

    @pytest.mark.parametrize("content", [None, b"", b"garbage\n", b'{"format": 1}\n'])
    def test_metrics_that_are_gone_or_broken_do_not_keep_the_rest(self, world: World, content: bytes | None) -> None:
        world.folder.metrics_stored.unlink()
        if content is not None:
            world.folder.metrics_stored.write_bytes(content)
        with FakeMLflow() as fake:
            assert not world.track(lambda: Server(fake.url)).warning

    def test_whatever_goes_wrong_is_a_warning_without_the_secret(self, world: World) -> None:
        def broken() -> Server:
            raise RuntimeError(SECRET)

        with FakeMLflow(echo) as fake:
            for open_server in (
                broken,
                lambda: Server(fake.url, secret=SECRET),
                lambda: Server("http://[", secret=SECRET),
            ):
                tracked = world.track(open_server)
                assert tracked.warning.startswith("MLflow (team-mlflow) does not have the run: ")
                assert world.reported[-1] == tracked.warning
                assert SECRET not in tracked.warning

    def test_a_server_that_was_away_lately_is_tried_once_and_shortly(self, world: World) -> None:
        with FakeMLflow(always(500, b"")) as fake:
            world.track(lambda: Server(fake.url), clock=lambda: 1000.0)
            assert len(fake.asked) == 3
            world.track(lambda: Server(fake.url), clock=lambda: 1001.0)
            assert len(fake.asked) == 4
            world.track(lambda: Server(fake.url), clock=lambda: 1002.0 + AWAY_SECONDS)
            assert len(fake.asked) == 7
        assert HASTY_SECONDS < 10

    def test_a_server_that_is_back_is_waited_for_again(self, world: World) -> None:
        with FakeMLflow(always(500, b"")) as fake:
            world.track(lambda: Server(fake.url))
        with FakeMLflow() as fake:
            assert world.track(lambda: Server(fake.url)).run_id
        with FakeMLflow(always(500, b"")) as fake:
            world.track(lambda: Server(fake.url))
            assert len(fake.asked) == 3


class TestWhatTravels:
    def test_it_comes_back_as_it_was(self) -> None:
        sent = Tracked("team-mlflow", "1", "abc").as_dict()
        assert read_tracked(json.loads(json.dumps(sent))) == sent

    @pytest.mark.parametrize("data", [None, [], "text", {}, {"connection": 7}, {"connection": "a", "run_id": []}])
    def test_what_no_run_can_have_left_is_dropped(self, data: Any) -> None:
        assert read_tracked(data) is None
