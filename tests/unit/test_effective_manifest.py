"""The manifest that a run has really trained with."""

from __future__ import annotations

import yaml
from manifest_samples import FFDL, MANIFEST, masked

from trainyard.manifest.effective import effective_manifest

_WITH = MANIFEST.replace("  execution:\n", "  execution:\n    hyperparameters: {lr: 0.1, name: 'ä'}\n")


def test_a_run_as_its_manifest_says_has_it_as_it_is():
    assert effective_manifest("# mine\nname: x\n", {}) == "# mine\nname: x\n"


def test_what_a_run_was_triggered_with_stands_in_the_place_of_the_manifests_values():
    text = effective_manifest(masked(_WITH), {"lr": 0.01, "size": "large", "command": "python3 other.py"})
    execution = yaml.safe_load(text)["model_definition"]["execution"]
    assert execution["hyperparameters"] == {"lr": 0.01, "name": "ä"}
    assert "large" in str(execution)
    assert execution["command"] == "python3 other.py"
    assert text.startswith("# As it was run, triggered with\n# lr: 0.01\n")


def test_ffdls_manifests_too():
    text = effective_manifest(masked(FFDL), {"command": "python3 other.py"})
    assert yaml.safe_load(text)["framework"]["command"] == "python3 other.py"


def test_no_secret_is_in_it():
    for text in (_WITH, FFDL):
        assert "sEcReT" not in effective_manifest(masked(text), {"command": "x"})


def test_a_text_that_cannot_be_read_again_keeps_its_words():
    assert effective_manifest("{", {"lr": 1}) == "# The run was triggered with\n# lr: 1\n{"
