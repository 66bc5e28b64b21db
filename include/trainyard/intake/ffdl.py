"""FfDL's manifests: where their values stand, and what of them does not exist here."""

from __future__ import annotations

from dataclasses import replace

from trainyard.intake.document import Document
from trainyard.intake.layout import Layout, store_layout

# What is accepted and has no effect, with the reason that the submitter is told.
NOT_USED = {
    "storage": "results go to the bucket without a limit of their own",
    "image_tag": "the framework's version says which image is used",
}


def ffdl_layout(document: Document) -> Layout:
    """Find every value; data and results share the one data store and its connection."""
    at = ("data_stores", 0)
    data = store_layout(document, at, (*at, "training_data", "container"), (*at, "type"))
    return Layout(
        family="ffdl",
        name=("name",),
        description=("description",),
        framework_name=("framework", "name"),
        framework_version=("framework", "version"),
        image_tag=("framework", "image_tag"),
        command=("framework", "command"),
        hyperparameters=("framework", "hyperparameters"),
        data=data,
        results=replace(data, bucket=(*at, "training_results", "container")),
        nodes=("learners",),
        gpus=("gpus",),
        cpus=("cpus",),
        memory=("memory",),
        gpu_type=("gpu_type",),
        metrics=("evaluation_metrics",),
    )


def unused(document: Document) -> list[str]:
    """Return a warning for every key that is read and has no effect."""
    found = []
    for path in (("storage",), ("framework", "image_tag")):
        place = document.key_position(path)
        if place and not (path[-1] == "image_tag" and document.text(("framework", "name")) == "custom"):
            found.append(f"line {place[0]}: {path[-1]} has no effect: {NOT_USED[path[-1]]}")
    return found
