"""Which cluster the suite runs on."""

from __future__ import annotations

import pytest
from clustertarget import named_target, workspace_volume


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "kubeconfig"
    path.touch()
    return path


def test_a_cluster_that_only_the_shell_names_is_not_tested(kubeconfig):
    assert named_target({"KUBECONFIG": str(kubeconfig), "WORKSPACE": "/srv"}) is None


def test_a_cluster_is_named_with_all_that_is_known_of_it(kubeconfig):
    words = {"KUBECONFIG": str(kubeconfig), "WORKSPACE": "shared", "NAMESPACE": "trainings", "IMAGE": "own:1"}
    found = named_target({f"CLUSTER_{name}": word for name, word in words.items()})
    assert (found.kubeconfig, found.workspace) == (kubeconfig, "claim:shared")
    assert (found.namespace, found.image) == ("trainings", "own:1")


@pytest.mark.parametrize(
    ("workspace", "volume"), [("/srv/work", "/srv/work"), ("shared", "claim:shared"), ("claim:shared", "claim:shared")]
)
def test_a_workspace_is_a_folder_or_a_claim(workspace, volume):
    assert workspace_volume(workspace) == volume


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ({"IMAGE": "own:1", "NAMESPACE": "x"}, "Give KUBECONFIG beside NAMESPACE, IMAGE"),
        ({"KUBECONFIG": "{}"}, "give WORKSPACE="),
        ({"KUBECONFIG": "{}x", "WORKSPACE": "/srv"}, "there is no kubeconfig"),
    ],
)
def test_what_is_missing_is_told(kubeconfig, words, reported):
    given = {f"CLUSTER_{name}": word.format(kubeconfig) for name, word in words.items()}
    with pytest.raises(ValueError, match=reported):
        named_target(given)
