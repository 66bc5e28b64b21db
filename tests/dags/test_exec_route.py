"""Commands in a running program's container: through the real front door, on a real web server and a local cluster."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from appasking import created_app
from frontdoorfakes import SHOWN_RUN
from late import Late
from localkubeserver import running_cluster, wait_for
from rawhttp import served
from samples import MODEL_ID, training

from trainyard.client.access import Access
from trainyard.client.commands import RESIZE, STDIN, Command, pieces
from trainyard.client.rest import RestClient
from trainyard.client.run import Run
from trainyard.core.audit.recording import Audit
from trainyard.core.executing import Executing
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

commands = Late("trainyard.api.commands")
connections = Late("trainyard.api.guards.connections")
podexec = Late("trainyard.airflow.podexec")
_CONNECTION = "cluster_of_commands"
_SECRET = "plantedInACommand"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def pod(cluster, folder):
    return started_pod(cluster, "running", folder)


def started_pod(cluster, name, folder):
    """Start a pod as that of a run: a container of its name, a folder for the program, another one as home."""
    for part in ("model", "home"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "home" / ".path").write_text(f"{os.environ['PATH']}:/of/the/program")
    environment = {"MODEL_DIR": folder / "model", "HOME": folder / "home"}
    container = {"name": "learner", "env": [{"name": key, "value": str(value)} for key, value in environment.items()]}
    cluster.run(name, "sleep", "1000", container=container, labels={"trainyard/learner": "1"})
    return cluster.core.api_client.sanitize_for_serialization(cluster.until(name, "Running"))


class World:
    """One run with its pod, what is recorded, and who asks."""

    def __init__(self, pod):
        self.pods = [pod]
        self.run = SHOWN_RUN
        self.training = training()
        self.events = []
        self.caller = SimpleNamespace(name="ada", admin=False)
        self.executing = Executing(self.find, lambda _: self.training, lambda _: self.pods, self.values, self.audit)

    @property
    def audit(self):
        return Audit(self.events.append)

    def find(self, model_id, caller):
        if model_id != MODEL_ID or caller.name == "mallory":
            raise TrainyardError("C107", f"there is no run {model_id}")
        return self.run

    @staticmethod
    def values(_run):
        return [_SECRET]

    async def get_user_from_token(self, token):
        """Take every token for one of the user that it names."""
        return SimpleNamespace(get_name=lambda: token)

    def is_authorized_pool(self, user, **_):
        return user.get_name() == "admin"


@pytest.fixture
def world(pod):
    return World(pod)


@pytest.fixture
def limits(request):
    usual = {"per_member": 2, "most": 3, "idle_seconds": 100, "seconds": 200, "look_seconds": 0.05}
    return {**usual, **getattr(request, "param", {})}


@pytest.fixture
def service(cluster, world, limits, monkeypatch):
    """Return what opens a client of the front door, as a user."""
    extra = {"kube_config_path": str(cluster.kubeconfig), "namespace": "default"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{_CONNECTION.upper()}", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    app = created_app()
    monkeypatch.setattr("trainyard.api.auth.get_auth_manager", lambda: world)
    assert connections.bound_headers()

    def run_in_pod(pod, command, stdin, tty):
        return podexec.run_in_pod(_CONNECTION, "default", pod, command, stdin, tty)

    app.state.commands = commands.Commands(world.executing, run_in_pod, **limits)
    # As Airflow mounts it.
    from fastapi import FastAPI

    whole = FastAPI()
    whole.mount("/v3", app)
    with served(whole) as (host, port):
        yield lambda user="ada": RestClient(Access(f"http://{host}:{port}", user))


def run_of(service):
    return Run(service, MODEL_ID)


def refused(service, *words, **how):
    with pytest.raises(TrainyardError) as error:
        service.execute(MODEL_ID, Command(list(words), **how))
    return error.value


async def _unheard(_channel, _content):
    """Take what the command writes."""


@contextmanager
def held(service, words, hear=_unheard):
    """Run a command in a thread of its own; give its result to come, and leave it at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    talk = service.converse(MODEL_ID, Command(words), pieces(b""), hear)
    result = asyncio.run_coroutine_threadsafe(talk, loop)
    try:
        yield result
    finally:
        result.cancel()
        asyncio.run_coroutine_threadsafe(_all_ended(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def _all_ended():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def living(word):
    return [each for each in psutil.process_iter(["cmdline"]) if word in (each.info["cmdline"] or [])]


class TestPiped:
    def test_output_errors_and_exit_code_come_back_apart(self, service):
        done = run_of(service()).exec("echo out; echo odd >&2; exit 7")
        assert (done.exit_code, done.output, done.stderr) == (7, "out\n", b"odd\n")

    def test_the_input_is_passed_on_with_its_end(self, service):
        content = os.urandom(3_000_000)  # more than any buffer on the way holds, both ways at once
        done = run_of(service()).exec(["cat"], input=content)
        assert (done.exit_code, done.stdout == content) == (0, True)

    def test_a_command_is_where_the_program_is_with_its_path(self, service, folder):
        done = run_of(service()).exec("pwd; echo $PATH; echo $PYTHONPATH")
        here, path, python_path = done.output.splitlines()
        assert (here, python_path) == (str(folder / "model"),) * 2
        assert path.endswith(":/of/the/program")

    def test_words_arrive_as_they_are(self, service):
        words = ["", " two  words ", "ünï", "$HOME", "a&b=c", "-x", "line\nline"]
        done = run_of(service()).exec(["printf", "%s|", *words])
        assert done.output == "".join(f"{word}|" for word in words)

    def test_a_program_that_is_not_there_is_the_commands_own_failure(self, service):
        done = run_of(service()).exec(["no-such-program"])
        assert done.exit_code == 127
        assert b"no-such-program" in done.stderr


class TestTerminal:
    def test_a_command_on_a_terminal_has_its_size_and_is_typed_to(self, service):
        heard = []

        async def typed():
            yield bytes([RESIZE]) + json.dumps({"Width": 123, "Height": 45}).encode()
            while b"ready" not in b"".join(heard):
                await asyncio.sleep(0.01)
            yield bytes([STDIN]) + b"stty size\nexit 3\n"

        async def hear(_channel, content):
            heard.append(content)

        command = Command(["sh", "-c", "echo ready; exec sh"], stdin=True, tty=True)
        code = asyncio.run(service().converse(MODEL_ID, command, typed(), hear))
        assert (code, b"45 123" in b"".join(heard)) == (3, True)


class TestRights:
    def test_who_may_not_see_the_run_finds_none_and_is_recorded(self, service, world):
        error = refused(service("mallory"), "true")
        assert (error.code.code, error.status) == ("C107", 404)
        assert [(event.actor, event.action, event.result) for event in world.events] == [("mallory", "exec", "refused")]

    def test_nobody_gets_in_without_a_token(self, service):
        assert refused(service(None), "true").code.code == "C105"

    def test_a_run_with_secrets_is_open_to_its_owner_and_admins_alone(self, service, world):
        world.training = training(secrets=("WANDB_API_KEY",))
        world.run = replace(SHOWN_RUN, owner="grace")
        assert refused(service("ada"), "env").code.code == "C106"
        assert run_of(service("grace")).exec("exit 3").exit_code == 3
        assert run_of(service("admin")).exec("exit 4").exit_code == 4

    @pytest.mark.parametrize("phase", [Phase.STAGING, Phase.INSTALLING, Phase.STORING, Phase.DONE])
    def test_a_program_that_does_not_run_takes_no_command(self, service, world, phase):
        world.run = replace(SHOWN_RUN, phase=phase)
        error = refused(service(), "true")
        assert error.code.code == "C108"
        assert f"the program of {MODEL_ID} does not run" in error.message

    def test_a_pod_that_is_not_there_is_said_so(self, service, world):
        world.pods = []
        assert refused(service(), "true").code.code == "C108"

    def test_a_learner_that_the_run_has_not_is_refused(self, service):
        assert refused(service(), "true", learner=2).code.code == "C110"

    @pytest.mark.parametrize("command", [[], [""], ["a\0b"], ["x" * 40_000], "ls"])
    def test_what_is_no_command_is_refused(self, service, command):
        with pytest.raises(TrainyardError) as error:
            service().execute(MODEL_ID, Command(command))
        assert error.value.code.code == "C110"


class TestRecord:
    def test_who_ran_what_is_recorded_without_secrets_input_and_output(self, service, world):
        script = (
            f"echo {_SECRET}; curl -H 'Authorization: Bearer abc' http://me:pw1@host/; API_TOKEN=t2 x --password p3"
        )
        run_of(service()).exec(["sh", "-c", f"cat; {script}; true", "--key", "k4"], input="typed in\n")
        (event,) = world.events
        assert (event.actor, event.action, event.run, event.result) == ("ada", "exec", MODEL_ID, "ok")
        shown = event.details["command"]
        assert "curl" in shown
        for hidden in (_SECRET, "abc", "pw1", "t2", "p3", "k4", "typed in"):
            assert hidden not in json.dumps(event.as_dict()), hidden


class TestBounds:
    def test_a_member_runs_no_more_than_so_many_at_a_time(self, service, world):
        with held(service(), ["sleep", "98705"]), held(service(), ["sleep", "98706"]):
            wait_for(lambda: living("98705") and living("98706"), "the commands' start")
            error = refused(service(), "true")
            assert (error.code.code, error.status) == ("C120", 429)
            assert run_of(service("grace")).exec("exit 3").exit_code == 3
            with held(service("grace"), ["sleep", "98707"]):
                wait_for(lambda: living("98707"), "the command's start")
                assert refused(service("admin"), "true").code.code == "C120"
        wait_for(lambda: not living("98705"), "the commands' end")
        assert run_of(service()).exec("exit 5").exit_code == 5

    @pytest.mark.parametrize(
        ("limits", "said"),
        [({"idle_seconds": 0.3}, "nothing came or went"), ({"seconds": 0.3}, "took longer than")],
        indirect=["limits"],
    )
    def test_a_command_ends_at_its_limits(self, service, said):
        error = refused(service(), "sleep", "98700")
        assert (error.code.code, said in error.message) == ("C108", True)
        wait_for(lambda: not living("98700"), "the command's end")

    def test_endless_output_that_nobody_reads_is_not_kept(self, service):
        process, heard = psutil.Process(), threading.Event()

        async def hear(_channel, _content):
            heard.set()
            await asyncio.Event().wait()

        with held(service(), ["cat", "/dev/zero"], hear):
            assert heard.wait(60)
            before = process.memory_info().rss
            (cat,) = wait_for(lambda: living("/dev/zero"))
            wait_for(lambda: _waits(cat), "the command's wait for a reader")
            assert process.memory_info().rss - before < 30 * 1024**2


def _waits(process):
    """Say whether a process that writes without an end writes nothing any more."""
    before = process.io_counters().write_chars
    time.sleep(0.2)
    return process.io_counters().write_chars == before


class TestEnd:
    def test_a_command_ends_with_the_client_that_leaves(self, service):
        with held(service(), ["sleep", "98701"]):
            wait_for(lambda: living("98701"), "the command's start")
        wait_for(lambda: not living("98701"), "the command's end")

    def test_a_command_ends_with_its_run(self, service, world):
        with held(service(), ["sleep", "98702"]) as command:
            wait_for(lambda: living("98702"), "the command's start")
            world.run = replace(SHOWN_RUN, phase=Phase.STORING)
            assert command.exception(60).code.code == "C108"
        wait_for(lambda: not living("98702"), "the command's end")

    def test_a_command_ends_with_its_pod(self, service, world, cluster, folder):
        world.pods = [started_pod(cluster, "ending", folder)]
        with held(service(), ["sleep", "98703"]) as command:
            wait_for(lambda: living("98703"), "the command's start")
            cluster.delete("ending", grace=0)
            assert command.exception(60) or command.result()
        assert not living("98703")
