"""FfDL's manifests: where their values stand, and what of them does not exist here."""

from __future__ import annotations

import re
from dataclasses import replace

from trainyard.manifest.document import Document
from trainyard.manifest.layout import Layout, store_layout
from trainyard.manifest.masking import shown

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


# The folders that are stored, as FfDL's manifests name them; a logger's file is the log, which is stored anyway.
_STORED = re.compile(
    r"(\$\{?JOB_STATE_DIR\}?/logs/tb|\$\{?LOG_DIR\}?|\$\{?JOB_STATE_DIR\}?/logs/training-log\.txt|\$\{?RESULT_DIR\}?)(/.*)?$"
)
_EXTRACTING = {"regex_extractor", "optivist", "emetrics_file", "file"}


def metrics_warnings(document: Document) -> list[str]:
    """Warn of metrics that nobody reads, and of summaries that are written where nothing is stored."""
    at = ("evaluation_metrics",)
    kind, place = document.text((*at, "type")), (document.text((*at, "in")) or "").strip()
    found = []
    if place and not _STORED.match(place):
        line = document.nearest_position((*at, "in"))[0]
        found.append(
            f"line {line}: what is written to {shown('in', place)} is not stored; "
            "write TensorBoard summaries to $JOB_STATE_DIR/logs/tb, other files to $LOG_DIR"
        )
    if kind in _EXTRACTING:
        line = document.nearest_position((*at, "type"))[0]
        found.append(
            f"line {line}: evaluation_metrics of the type {kind} are kept as they are; no values are extracted"
        )
    return found


def unused(document: Document) -> list[str]:
    """Return a warning for every key that is read and has no effect."""
    found = []
    for path in (("storage",), ("framework", "image_tag")):
        place = document.key_position(path)
        if place and not (path[-1] == "image_tag" and document.text(("framework", "name")) == "custom"):
            found.append(f"line {place[0]}: {path[-1]} has no effect: {NOT_USED[path[-1]]}")
    return found
