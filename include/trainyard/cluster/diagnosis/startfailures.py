"""A pod did not start: its image did not arrive or cannot be run, or the node could not make its container."""

from __future__ import annotations

from trainyard.cluster.diagnosis.row import ASK_OPERATORS, Row
from trainyard.cluster.diagnosis.signs import cannot_run, has_no_shell, is_pulling, never_pulls

_OWN_IMAGE = "Check the image's name, its tag and that the cluster may read it, then submit again."

START_FAILURES = (
    Row(
        "own-image-never-pulls",
        "a custom image is the person's to name rightly",
        lambda f: f.custom and never_pulls(f),
        "C104",
        "the image {f.image} cannot be pulled{f.details}",
        _OWN_IMAGE,
    ),
    Row(
        "image-never-pulls",
        "the catalogue of frameworks names an image that is not there",
        never_pulls,
        "S103",
        "the framework's image {f.image} cannot be pulled{f.details}",
        ASK_OPERATORS,
    ),
    Row(
        "image-does-not-arrive",
        "a registry that is busy or out of reach; the kubelet keeps trying",
        is_pulling,
        "S103",
        "the image {f.image} did not arrive{f.details}",
        ASK_OPERATORS,
        final=False,
    ),
    Row(
        "own-image-without-shell",
        "the wrapper needs `sh`, which an image made from scratch has not",
        has_no_shell,
        "C104",
        "the image {f.image} has no shell to run the command in{f.details}",
        "Use an image that has `sh` and the usual tools (tee, mkfifo, tail).",
    ),
    Row(
        "not-started",
        "runtime, volume or device trouble before the program's first instruction",
        lambda f: cannot_run(f) and not (f.waiting and f.deleting),
        "S101",
        "the training container could not be started{f.details}",
        ASK_OPERATORS,
    ),
)
