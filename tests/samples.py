"""Values that tests of several parts start from: a spec, limits with two accounts, a registered training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trainyard.core.catalogue import Training
from trainyard.domain.limits import Account, FrameworkImage, Limits, Size
from trainyard.domain.names import RunKey
from trainyard.domain.plan import make_plan
from trainyard.domain.training import Author, Framework, Resources, StoreRef, TrainingSpec

GIB = 1024**3
MODEL_ID = "training-DOl4q2LkR"
# The first run of the training of this id.
RUN = RunKey.first_of(MODEL_ID)

SPEC = TrainingSpec(
    name="tf-mnist",
    framework=Framework("tensorflow", "2.16"),
    command="python3 train.py --data ${DATA_DIR}",
    resources=Resources(size="small"),
    data=StoreRef("s3", "training-data", "https://objects.example.com"),
    results=StoreRef("s3", "training-results", "https://objects.example.com"),
    description="Digits.",
    author=Author("Ada Lovelace", "ada@example.com"),
)

LIMITS = Limits(
    frameworks=(
        FrameworkImage("tensorflow", "2.16", "registry.example.com/tensorflow:2.16", "python3"),
        FrameworkImage("tensorflow", "1.3-py2", "registry.example.com/tensorflow:1.3", "python"),
        FrameworkImage("pytorch", "2.4", "registry.example.com/pytorch:2.4", "python3"),
    ),
    sizes={
        "small": Size("small", 1, 4000, 24 * GIB),
        "large": Size(
            "large",
            4,
            16000,
            96 * GIB,
            node_selector={"gpu": "k80"},
            tolerations=({"key": "nvidia.com/gpu", "operator": "Exists"},),
        ),
        "tiny": Size("tiny", 0, 500, GIB),
    },
    accounts={
        "vision": Account("vision", 4, ("ada", "grace"), 24, custom_images=True),
        "speech": Account("speech", 1, ("grace",), 0.5),
    },
    aliases={("tensorflow", "2.16-py3"): ("tensorflow", "2.16")},
    gpu_nodes={"p100": {"gpu": "p100"}},
)


def training(training_id: str = MODEL_ID, account: str = "vision", **changes: Any) -> Training:
    """Return a training as the catalogue has it; changes are of its spec, or of the training where it has them."""
    own = {name: value for name, value in changes.items() if name in Training.__dataclass_fields__}
    spec = replace(SPEC, **{name: value for name, value in changes.items() if name not in own})
    values = {
        "owner": "ada",
        "submitted_at": 1_700_000_000.25,
        "zip_sha256": "0" * 64,
        "manifest": "name: tf-mnist\n",
        **own,
    }
    return Training(training_id, account, spec=spec, plan=make_plan(spec, LIMITS.accounts[account], LIMITS), **values)
