"""Secrets planted everywhere are found nowhere but in the encrypted connections and in what their owner submitted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import planted
import pytest
import yaml
from planted import DATA, HOOK, OF_PROGRAM, RESULTS, STRAY, WRONG
from storeservers import stop
from yard import Yard

from trainyard.domain.training import Credentials
from trainyard.local.demo import RESULTS_BUCKET
from trainyard.local.inbox import BUCKET
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment, wait_until_ready
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

LIMIT_SECONDS = 300
# A bucket and an account of its own: other tests count what is downloaded, and what is dropped.
DATA_BUCKET, ACCOUNT = "planted-training-data", "free"
# The program of a stranger who prints whatever a process is told.
TELLS = """
import base64, os, pathlib, sys, time
told = os.environ["PLANTED_KEY"]
print(len(told), told, base64.b64encode(f"user:{told}".encode()).decode(), file=sys.stderr, flush=True)
print(dict(os.environ), sys.argv, flush=True)
for file in ("/proc/self/environ", "/proc/self/cmdline"):
    print(pathlib.Path(file).read_bytes(), flush=True)
print("training", flush=True)
"""
ENDS = f"{TELLS}sys.exit(0)\n"
FAILS = f"{TELLS}raise SystemExit(f'refused: {{told}}')\n"
WAITS = f"{TELLS}time.sleep(600)\n"
# Where the stack keeps its own, and what people wrote their secrets into: filled-in manifests, and drops that were
# refused or still wait and are kept untouched for their owners.
_HANDED_IN = ("submissions/", f"objects/{BUCKET}/inbox/")
_REFUSED = f"objects/{BUCKET}/refused/"
_PASSWORDS = {"secrets.json", "client.json", "airflow/passwords.json"}


@dataclass(frozen=True)
class Story:
    """What was done with the planted secrets: a run for each end that it can take, and what was answered."""

    runs: dict[str, str]
    refusals: list[str]
    answers_while_training: dict[str, str]
    store: int
    training: set[int]
    holders: dict[str, set[int]]


@pytest.fixture(scope="module")
def store(yard: Yard) -> Iterator[tuple[str, int]]:
    """Serve the stack's buckets a second time, to the planted key pairs alone."""
    port = yard.spare_port
    (yard.folder / "objects" / DATA_BUCKET).mkdir()
    (yard.folder / "objects" / DATA_BUCKET / "rows.csv").write_text("1,2")
    pairs = ",".join(f'"{pair.user},{pair.secret}"' for pair in (DATA, RESULTS))
    environment = objectstore_environment(os.environ, "", "") | {"RCLONE_AUTH_KEY": pairs}
    command = objectstore_command(find_rclone(), yard.folder / "objects", port)
    server = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", 120, lambda: server.poll() is None)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        stop(server)


@pytest.fixture(scope="module")
def story(yard: Yard, store: tuple[str, int]) -> Story:
    endpoint, pid = store
    yard.trainyard("secret", "set", "PLANTED_KEY", "--account", ACCOUNT, stdin=OF_PROGRAM)
    yard.trainyard("secret", "set", "PLANTED_KEY", stdin=OF_PROGRAM)
    honest = _filled(endpoint, DATA, RESULTS)
    runs = {
        "canceled": yard.submit("fails-with-3", change=honest, program=WAITS),
        "completed": yard.submit("fails-with-3", change=honest, program=ENDS),
        "failed": yard.submit("fails-with-3", change=honest, program=FAILS),
        "refused by its store": yard.submit("fails-with-3", change=_filled(endpoint, WRONG, WRONG), program=ENDS),
    }
    refusals = _refusals(yard, _astray(endpoint))
    runs["dropped"] = _dropped(yard, honest)
    assert wait_for(lambda: "training\n" in yard.log(runs["canceled"]), LIMIT_SECONDS)
    reported = {"pods": yard.kubectl("get", "pods", "-A", "-o", "yaml"), **_answers(yard, list(runs.values()))}
    training = planted.processes_with([f"TRAINING_ID={runs['canceled']}".encode()])
    holders = {name: planted.processes_with(needles) for name, needles in _needles(yard).items()}
    # Whoever owns the run sees in it what it was given; nobody else does, nor any record.
    told = yard.trainyard("exec", runs["canceled"], "--", "sh", "-c", f"echo $PLANTED_KEY {OF_PROGRAM}").stdout
    assert told == f"{OF_PROGRAM} {OF_PROGRAM}\n"
    yard.trainyard("cancel", runs["canceled"])
    for model_id in runs.values():
        yard.finished(model_id)
    return Story(runs, refusals, reported, pid, training, holders)


def _filled(endpoint: str, data: Credentials, results: Credentials) -> Callable[[str], str]:
    def change(text: str) -> str:
        manifest = yaml.safe_load(text)
        manifest["training_data_reference"][0]["connection"] = _connection(endpoint, data)
        manifest["training_data_reference"][0]["source"]["bucket"] = DATA_BUCKET
        manifest["training_results_reference"]["connection"] = _connection(endpoint, results)
        manifest["secrets"] = ["PLANTED_KEY"]
        manifest["notify"] = [
            {"to": f"{endpoint}/hooks/{HOOK.user}", "on": ["started", "ended"], "secret": HOOK.secret},
            f"mailto://{HOOK.user}:{HOOK.secret}@{endpoint.removeprefix('http://')}?to=ada@example.com",
        ]
        return yaml.safe_dump(manifest)

    return change


def _connection(endpoint: str, pair: Credentials) -> dict[str, str]:
    return {
        "endpoint_url": endpoint,
        "aws_access_key_id": pair.user,
        "aws_secret_access_key": pair.secret,
    }


def _astray(endpoint: str) -> Callable[[str], str]:
    """Put secrets where none belong: in an address, under misspelt and unknown names, beside the bucket."""

    def change(text: str) -> str:
        manifest = yaml.safe_load(_filled(endpoint, DATA, RESULTS)(text))
        data, results = manifest["training_data_reference"][0], manifest["training_results_reference"]
        data["connection"]["endpoint_url"] = f"{endpoint.replace('://', f'://ada:{STRAY}@')}/?x=1"
        data["source"]["secret"] = STRAY
        results["connection"]["aws_secret_acces_key"] = results["connection"].pop("aws_secret_access_key")
        results["connection"]["password"] = {"value": STRAY}
        manifest["api_token"] = STRAY
        manifest["notify"] = [f"https://hooks.example.com:x/{STRAY}", {"to": f"slack://{STRAY}?x=1", "on": [STRAY]}]
        manifest["notifications"] = [f"https://hooks.example.com/{STRAY}"]
        manifest["model_definition"]["framework"]["version"] = f"x://ada:{STRAY}@1.9"
        return yaml.safe_dump(manifest)

    return change


def _refusals(yard: Yard, change: Callable[[str], str]) -> list[str]:
    """Hand a manifest in that is refused, by the command line, over REST and as a drop; return all that was told."""
    manifest, model = yard.files("fails-with-3", change)
    typed = yard.trainyard("train", str(model), str(manifest), fails=True)
    with manifest.open("rb") as text, model.open("rb") as packed, _signed_in(yard) as client:
        files = {"manifest": (manifest.name, text), "zip": (model.name, packed)}
        answer = client.post("/v3/models", files=files, data={"account": "default"})
    assert answer.status_code == 400, answer.text
    assert {problem["code"][:2] for problem in answer.json()["error"]["problems"]} == {"C1"}
    _drop(yard, "astray", manifest, model)
    (reasons,) = _arrived(yard, f"refused/{ACCOUNT}/astray-*/reasons.txt")
    return [typed.stdout, typed.stderr, answer.text, reasons.read_text()]


def _dropped(yard: Yard, change: Callable[[str], str]) -> str:
    """Have a drop accepted and return its model id."""
    manifest, model = yard.files(
        "fails-with-3", lambda text: change(text).replace("name: fails-with-3", "name: planted-drop"), ENDS
    )
    _drop(yard, "planted", manifest, model)
    wanted = f"accepted/{ACCOUNT}/training-*/*.yml"
    assert wait_for(lambda: any("planted-drop" in path.read_text() for path in _found(yard, wanted)), LIMIT_SECONDS)
    (kept,) = [path for path in _found(yard, wanted) if "planted-drop" in path.read_text()]
    return kept.parent.name


def _drop(yard: Yard, name: str, *files: Path) -> None:
    folder = yard.folder / "objects" / BUCKET / "inbox" / ACCOUNT / name
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)


def _found(yard: Yard, pattern: str) -> list[Path]:
    return list((yard.folder / "objects" / BUCKET).glob(pattern))


def _arrived(yard: Yard, pattern: str) -> list[Path]:
    assert wait_for(lambda: bool(_found(yard, pattern)), LIMIT_SECONDS), pattern
    return _found(yard, pattern)


def _signed_in(yard: Yard) -> httpx.Client:
    client = json.loads((yard.folder / "client.json").read_text())
    account = {"username": client["username"], "password": client["password"]}
    token = httpx.post(f"{client['url']}/auth/token", json=account, timeout=120).json()["access_token"]
    return httpx.Client(base_url=client["url"], headers={"Authorization": f"Bearer {token}"}, timeout=120)


_SERVED = (
    "/api/v2/connections?limit=1000",
    "/api/v2/variables",
    "/api/v2/pools",
    "/api/v2/eventLogs?limit=1000",
    "/api/v2/importErrors",
    "/api/v2/dagWarnings",
    "/api/v2/plugins",
    "/api/v2/dags?limit=1000",
    *(f"/trainyard/{page}" for page in ("", "experiments", "new", "quota", "health")),
)


def _answers(yard: Yard, runs: list[str]) -> dict[str, str]:
    """Return all that the front door and Airflow answer about the service and these runs."""
    with _signed_in(yard) as client:
        described = client.get("/v3/openapi.json").json()["paths"]
        own = [f"/v3{path}" for path, verbs in described.items() if "get" in verbs]
        assert "/v3/stores" in own
        places = [*_SERVED, *(path for path in own if "{" not in path)]
        places += [place for model_id in runs for place in _places(model_id, own)]
        return {**{place: client.get(place).text for place in places}, "doctor": client.post("/v3/doctor").text}


def _places(model_id: str, own: list[str]) -> Iterator[str]:
    """Yield what is served of a run; `own` are the paths of the front door."""
    of_runs = [path for path in own if set(re.findall("{(.*?)}", path)) in ({"model_id"}, {"training_id"})]
    yield from (re.sub("{.*?}", model_id, path) for path in of_runs)
    yield from (f"/trainyard/runs/{model_id}{page}" for page in ("", "/log", "/files", "/manifest", "/steps", "/again"))
    yield from (f"/api/v2/dags/{model_id}/details", f"/api/v2/dagSources/{model_id}")
    yield from (f"/api/v2/connections/{model_id}.{store}" for store in ("data", "results", "notify"))
    run = f"/api/v2/dags/{model_id}/dagRuns/{model_id}"
    yield from (run, f"{run}/taskInstances")
    for task in ("validate", "stage", "train", "upload", "cleanup"):
        instance = f"{run}/taskInstances/{task}"
        yield from (instance, f"{instance}/xcomEntries?limit=100", f"{instance}/logs/1?full_content=true")


def _needles(yard: Yard) -> dict[str, list[bytes]]:
    """Return every secret that the stack and the people who use it have, by its name."""
    own = yard.secrets
    return {
        "planted": planted.marks(),
        "program": planted.forms(OF_PROGRAM),
        "object store": planted.forms(own.secret_key),
        "front door": planted.forms(own.password),
        "fernet": planted.forms(own.fernet_key),
        "tokens": planted.forms(own.jwt_secret),
    }


def _reported(answers: dict[str, str], needles: list[bytes]) -> list[str]:
    return [place for place, text in answers.items() if planted.holds(text.encode(), needles)]


def test_the_runs_ended_in_every_way_that_could_tell_a_secret(yard: Yard, story: Story) -> None:
    ends = {name: yard.run(model_id) for name, model_id in story.runs.items()}
    seen = {name: (run["state"], run["outcome"]["code"]) for name, run in ends.items()}
    assert seen == {
        "completed": ("completed", None),
        "failed": ("error", "C201"),
        "canceled": ("canceled", "C204"),
        "refused by its store": ("error", "C103"),
        "dropped": ("completed", None),
    }


def test_a_planted_secret_is_found_nowhere(yard: Yard, story: Story) -> None:
    """Not in a log, a catalogue, a workspace, a bundle, a pod's record or a bucket of the stack's folder."""
    needles = _needles(yard)
    found = {name: planted.files_with(yard.folder, each) for name, each in needles.items()}
    handed_in = {file for file in found["planted"] if _is_handed_in(file)}
    assert any(file.startswith(_REFUSED) for file in handed_in), "the refused drop is not as it was submitted"
    assert found["planted"] - handed_in == set()
    assert found["program"] == set()
    assert {file for file in found["object store"] if not _is_handed_in(file)} <= {"secrets.json"}
    assert found["front door"] <= _PASSWORDS
    assert found["fernet"] | found["tokens"] <= {"secrets.json"}
    assert not planted.files_with(yard.folder / "airflow", planted.secret_marks())


def _is_handed_in(file: str) -> bool:
    return file.startswith(_HANDED_IN) or (file.startswith(_REFUSED) and file.endswith((".yml", ".zip")))


def test_airflows_database_has_none_of_all_credentials_in_the_clear(yard: Yard, story: Story) -> None:
    database = yard.folder / "airflow" / "airflow.db"
    assert planted.columns_with(database, planted.marks()) == set()
    own = [needle for name, needles in _needles(yard).items() if name != "planted" for needle in needles]
    assert planted.columns_with(database, own) == set()


def test_a_planted_secret_is_in_no_answer(yard: Yard, story: Story) -> None:
    """Neither while they train nor after."""
    after = {"pods": yard.kubectl("get", "pods,events", "-A", "-o", "yaml"), **_answers(yard, [*story.runs.values()])}
    for answers in (story.answers_while_training, after):
        assert f"{story.runs['failed']}" in answers["/v3/models"]
        for name, needles in _needles(yard).items():
            assert _reported(answers, needles) == [], name
        assert _reported(answers, planted.secret_marks()) == []


def test_a_refusal_repeats_no_secret_to_whoever_sent_it_astray(story: Story) -> None:
    assert len(story.refusals) == 4
    assert [text for text in story.refusals if planted.holds(text.encode(), planted.marks())] == []


def test_no_process_is_told_a_stores_credentials_and_a_training_its_own_secrets_alone(yard: Yard, story: Story) -> None:
    assert story.training, "no training was seen"
    assert {name for name, pids in story.holders.items() if pids & story.training} == {"program"}
    assert story.holders["object store"] <= {yard.stack.status()["object store"]["pid"]}
    of_stores = [form for pair in (DATA, RESULTS, WRONG) for form in planted.forms(pair.secret)]
    assert planted.processes_with(of_stores) == {story.store}


def test_what_a_training_prints_of_its_environment_has_no_secret_and_no_address_of_airflow(
    yard: Yard, story: Story
) -> None:
    airflow = yard.stack.status()["api-server"]["address"].removeprefix("http://")
    for name in ("completed", "failed"):
        log = (yard.folder / "objects" / RESULTS_BUCKET / story.runs[name] / "learner-1/training-log.txt").read_text()
        assert "TRAINING_COMMAND" in log
        assert [word for word in (*_OF_AIRFLOW, airflow) if word in log] == []
        # It was told its own secret and has printed it, which nobody sees.
        assert log.startswith(f"{len(OF_PROGRAM)} **** ")


def test_a_secret_of_the_account_serves_its_members_and_a_missing_one_is_refused_at_the_door(yard: Yard) -> None:
    yard.ask("ada", "PUT", "/v3/secrets/SHARED_KEY?account=vision", json={"value": OF_PROGRAM}).raise_for_status()
    names = lambda text: f"{text}secrets: [SHARED_KEY]\n"  # noqa: E731
    refused = yard.ask("grace", "GET", "/v3/secrets").json()["resources"]
    assert "SHARED_KEY" not in {secret["name"] for secret in refused}
    manifest, model = yard.files("fails-with-3", names, ENDS)
    files = {"manifest": manifest.read_bytes(), "zip": ("model.zip", model.read_bytes())}
    answer = yard.ask("grace", "POST", "/v3/models", files=files, data={"account": "speech"})
    assert answer.status_code == 400
    (problem,) = answer.json()["error"]["problems"]
    assert (problem["code"], "trainyard secret set SHARED_KEY" in problem["hint"]) == ("C116", True)


# What the local cluster tells a container of itself, LOCALKUBE_CONTAINER, is none of these.
_OF_AIRFLOW = ("AIRFLOW", "TRAINYARD_INBOX", "TRAINYARD_CATALOGUE", "KEY_OF_ANOTHER_SERVICE", "KUBECONFIG", "sqlite")


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """A search that finds nothing has to be one that could."""
    for number, form in enumerate(planted.forms(DATA.secret)):
        (tmp_path / str(number)).write_bytes(b"..." + form)
    assert planted.files_with(tmp_path, planted.secret_marks()) == {"0", "1", "2", "3"}
