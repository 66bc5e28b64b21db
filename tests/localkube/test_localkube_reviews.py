"""Who the caller is and what it may, as the local cluster answers it."""

from __future__ import annotations

import pytest
from kubernetes.client import AuthenticationV1Api, AuthorizationV1Api, VersionApi
from localkubeserver import running_cluster, status_of

pytestmark = pytest.mark.xdist_group("localkube reviews")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--gpus", "1") as server:
        yield server


def test_whoever_has_the_token_is_one_user_who_may_do_everything(cluster):
    api = cluster.core.api_client
    assert AuthenticationV1Api(api).create_self_subject_review(body={}).status.user_info.username == "localkube"
    wanted = {"namespace": "default", "verb": "create", "resource": "pods"}
    answer = AuthorizationV1Api(api).create_self_subject_access_review(body={"spec": {"resourceAttributes": wanted}})
    assert (answer.status.allowed, answer.spec.resource_attributes.verb) == (True, "create")


def test_nothing_is_reviewed_without_the_token(cluster):
    assert status_of(f"{cluster.url}/apis/authentication.k8s.io/v1/selfsubjectreviews") == 401


def test_the_version_is_told_with_the_time(cluster):
    answer, status, headers = VersionApi(cluster.core.api_client).get_code_with_http_info()
    assert (answer.major, status, "date" in {name.lower() for name in headers}) == ("1", 200, True)
