"""Two runs to make pods of, and Kubernetes' expansion of variables."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from trainyard.cluster.spec import PodRun, WorkspaceVolume
from trainyard.domain.names import RunKey
from trainyard.domain.plan import Plan
from trainyard.domain.training import Author, Framework, Resources, StoreRef, TrainingSpec

GIB = 1024**3

SMALL = PodRun(
    key=RunKey.first_of("training-DOl4q2LkR"),
    attempt=1,
    spec=TrainingSpec(
        name="tf-mnist-showtest1",
        description="Simple MNIST model implemented in TF",
        author=Author("WML User", "user@example.com"),
        framework=Framework("tensorflow", "2.20"),
        command="python3 convolutional_network.py --trainImagesFile ${DATA_DIR}/train-images-idx3-ubyte.gz",
        resources=Resources(size="small"),
        data=StoreRef("s3", "mnist-training-data", "http://127.0.0.1:9000"),
        results=StoreRef("s3", "mnist-training-models", "http://127.0.0.1:9000"),
    ),
    plan=Plan(
        account="vision",
        image="registry.example/tensorflow:2.20-gpu",
        interpreter="python3",
        gpus=1,
        cpu_millis=4000,
        memory=24 * GIB,
        pool="gpus-vision",
        pool_slots=1,
        deadline_seconds=86400,
        node_selector={"accelerator": "k80"},
        tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
    ),
    namespace="trainings",
    volume=WorkspaceVolume(claim="trainyard-workspace"),
    dataset_subpath="datasets/mnist-training-data-0123456789ab/4f2a",
    run_subpath="runs/training-DOl4q2LkR/training-DOl4q2LkR",
    checkpoints_subpath="checkpoints/vision-mnist-training-models-ba9876543210",
)

FFDL = replace(
    SMALL,
    key=RunKey("training-DOl4q2LkR", "training-aB3dE5gH7"),
    attempt=2,
    spec=TrainingSpec(
        name="Gesichter (schön) 顔",
        framework=Framework("custom", "registry.example/team/net"),
        command='VERSION=$(date +%s); echo "$$ $(TRAINING_ID)"; python -u faces.py --out $RESULT_DIR/model.pt',
        resources=Resources(gpus=0, cpu_millis=1500, memory=300 * 1024**2),
        data=StoreRef("s3", "faces", "http://127.0.0.1:9000"),
        results=StoreRef("s3", "faces-results", "http://127.0.0.1:9000"),
        family="ffdl",
    ),
    plan=Plan(
        account="free",
        image="registry.example/team/net",
        interpreter="python3",
        gpus=0,
        cpu_millis=1500,
        memory=300 * 1024**2,
        pool="cpu",
        pool_slots=1,
        deadline_seconds=3600,
    ),
    namespace="default",
    volume=WorkspaceVolume(folder="/srv/train yard/workspace"),
    run_subpath="runs/training-DOl4q2LkR/training-aB3dE5gH7",
    grace_seconds=5,
)


def expanded(text: str, known: dict[str, str]) -> str:
    """Expand as Kubernetes does, over bytes: `$$`, `$(NAME)`, and one byte after any other `$`, read as Latin-1."""
    data, out, at = text.encode(), b"", 0
    while at < len(data):
        if data[at : at + 1] != b"$" or at + 1 == len(data):
            out, at = out + data[at : at + 1], at + 1
        elif data[at + 1 : at + 2] == b"$":
            out, at = out + b"$", at + 2
        elif data[at + 1 : at + 2] == b"(" and b")" in data[at:]:
            end = data.index(b")", at)
            name = data[at + 2 : end].decode()
            out, at = out + known.get(name, f"$({name})").encode(), end + 1
        else:
            out, at = out + b"$" + chr(data[at + 1]).encode(), at + 2
    return out.decode()


def shown(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the pod with a word in place of the wrapper's text, which has tests of its own."""
    copied = copy.deepcopy(pod)
    copied["spec"]["containers"][0]["command"][4] = "(learner.sh)"
    return copied
