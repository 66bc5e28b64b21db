"""A training whose stores are a connection that an admin has made in Airflow, from the door to its last step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import yaml
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")
_CONNECTIONS = "/api/v2/connections"


@pytest.fixture(scope="module")
def airflow(yard: Yard) -> Iterator[httpx.Client]:
    """Airflow's REST as the stack's admin asks it."""
    headers = {"Authorization": f"Bearer {yard.token('admin')}"}
    with httpx.Client(base_url=yard.url, headers=headers, timeout=240) as signed_in:
        yield signed_in


@pytest.fixture(scope="module")
def team_bucket(yard: Yard, airflow: httpx.Client) -> str:
    """A connection as an admin makes one in Airflow."""
    keys = {"login": yard.secrets.key_id, "password": yard.secrets.secret_key}
    extra = json.dumps({"endpoint_url": yard.endpoint})
    made = airflow.post(_CONNECTIONS, json={"connection_id": "team-bucket", "conn_type": "aws", **keys, "extra": extra})
    assert made.status_code == 201, made.text
    return "team-bucket"


def _naming(name: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        manifest = yaml.safe_load(text)
        manifest["training_data_reference"][0]["connection"] = {"name": name}
        manifest["training_results_reference"]["connection"] = {"name": name}
        return yaml.safe_dump(manifest)

    return change


def test_it_trains_and_stores_its_results_with_no_key_of_its_own(
    yard: Yard, airflow: httpx.Client, team_bucket: str
) -> None:
    model_id = yard.submit("fails-with-3", account="vision", change=_naming(team_bucket))
    run = yard.finished(model_id)
    assert (run["outcome"]["code"], run["outcome"]["exit_code"]) == ("C201", 3)
    assert run["connections"] == {"data": team_bucket, "results": team_bucket}
    assert "data: team-bucket, results: team-bucket" in yard.trainyard("show", model_id).stdout
    assert "learner-1/training-log.txt" in yard.results(model_id)
    for store in ("data", "results"):
        assert airflow.get(f"{_CONNECTIONS}/{model_id}.{store}").status_code == 404
    yard.trainyard("delete", model_id, "--now")
    assert airflow.get(f"{_CONNECTIONS}/{team_bucket}").status_code == 200


def test_a_member_of_another_account_may_not_name_it(yard: Yard, team_bucket: str) -> None:
    manifest, model = yard.files("fails-with-3", _naming(team_bucket))
    words = ("train", str(model), str(manifest), "--account", "speech")
    refused = yard.trainyard(*words, fails=True)
    assert "the account has no connection of this name" in refused.stdout + refused.stderr
    assert "Write address and keys of the store" in refused.stdout + refused.stderr
