"""Say from its content what a file is: one of the manifest families, or a neighbour that cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import Document
from trainyard.manifest.suggestions import nearest

_DEFINITION_MARKS = {"training_data_reference", "training_data", "execution", "command"}
_FFDL_MARKS = {"data_stores", "learners", "gpus", "cpus", "memory", "evaluation_metrics"}
_MARKS = ["model_definition", "training_data_reference", "training_results_reference", "data_stores"]
_KUBERNETES = ("a Kubernetes object", "Submit a manifest; the service makes the Kubernetes objects itself.")
_EXPERIMENT = (
    "an experiment: several trainings that share one results bucket",
    "Store it with `trainyard store experiments FILE` and run it with `trainyard experiments run ID`.",
)
_SEARCH = (
    "the hyperparameter search of an experiment",
    "Put it below an entry of training_references in an experiment, or write search in a manifest.",
)
_TRAINING_CONFIG = (
    "a training configuration of the Model Asset eXchange, which its own tool turns into a manifest",
    "Write a manifest with model_definition, training_data_reference and training_results_reference.",
)
_DEFINITION = (
    "a training definition, one part of an experiment, and names no results bucket of its own",
    "Store it with `trainyard store training-definitions ZIP FILE` for an experiment; or move name, author, "
    "description, framework and execution below model_definition and add training_results_reference.",
)

_TRAINING = ("the manifest of a training", "")
_KINDS = {"training-definition": _DEFINITION, "experiment": _EXPERIMENT}
_WANTED = {
    "training-definition": (
        "a training definition",
        "`trainyard generate-manifest training-definitions` shows one; a manifest is submitted with `trainyard train`.",
    ),
    "experiment": (
        "an experiment",
        "`trainyard generate-manifest experiments` shows one; a manifest is submitted with `trainyard train`.",
    ),
}
_ANSWER = (
    "an answer of the service, with the manifest inside",
    "Submit what stands below entity, without definition_href, with source and target for location.",
)
_LISTING = ("a list that the service answered with", "Submit one manifest, with model_definition and its two stores.")
_V4 = (
    "a training of the v4 REST interface",
    "Write model_definition with name, framework: {name, version} for software_spec, and execution: {command, "
    "compute_configuration: {name}} for hardware_spec; training_data_references[0] becomes training_data_reference "
    "with source for location, results_reference becomes training_results_reference with target for location.",
)
_ELSEWHERE = "Write a manifest with model_definition, training_data_reference and training_results_reference."
# Formats of neighbours by keys that stand together in them and in no manifest.
_OTHERS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(keys.split()), name)
    for keys, name in (
        ("services version", "a Compose file"),
        ("services volumes", "a Compose file"),
        ("services networks", "a Compose file"),
        ("channels dependencies", "an environment of conda"),
        ("entry_points name", "an MLproject file"),
        ("on jobs", "a workflow of GitHub"),
        ("stages script", "a pipeline of GitLab"),
        ("AlgorithmSpecification TrainingJobName", "a training job of SageMaker"),
        ("TrainingJobDefinition", "a training job of SageMaker"),
        ("trainingInput", "a job of Google's AI Platform"),
        ("workerPoolSpecs", "a job of Vertex AI"),
        ("job_spec display_name", "a job of Vertex AI"),
        ("$schema compute", "a job of Azure Machine Learning"),
        ("compute environment", "a job of Azure Machine Learning"),
        ("resources run", "a task of SkyPilot"),
        ("cluster_name provider", "a cluster of Ray"),
        ("entrypoint runtime_env", "a job of Ray"),
        ("entrypoint searcher", "an experiment of Determined"),
        ("method parameters program", "a sweep of Weights & Biases"),
        ("stages", "a pipeline of DVC"),
        ("cells nbformat", "a notebook"),
        ("dag_id", "a DAG of Airflow"),
        ("cwlVersion", "a workflow of CWL"),
        ("compute_environment distributed_type", "a configuration of Accelerate"),
        ("train_batch_size", "a configuration of DeepSpeed"),
        ("model_name_or_path", "arguments of a training program"),
        ("base_model datasets", "a configuration of Axolotl"),
        ("dependencies scripts", "a package.json"),
        ("dockerImageName", "a job of NGC"),
        ("federated_learning", "a federated learning experiment of the v4 REST interface"),
        ("doc_type pipelines", "a pipeline of the v4 REST interface"),
        ("$schema properties", "a JSON Schema, which describes manifests"),
    )
)
_PARTS = {"training_data", "training_results", "framework", "execution", "command", *_MARKS, *_FFDL_MARKS}


def family_of(document: Document) -> str:
    """Return `wml` or `ffdl`; raise TrainyardError C101 for a file that is something else."""
    data = document.data
    if not isinstance(data, dict):
        raise _refusal(document, f"the file is {_kind(data)}, not a map with the keys of a manifest.", "")
    if other := _neighbour(data):
        raise _refusal(document, f"this is {other[0]}.", other[1])
    if "model_definition" in data:
        return "wml"
    if _is_foreign(data):
        message = "this is no manifest: none of its keys is one of a manifest's parts."
        raise _refusal(document, message, f"{_ELSEWHERE} docs/manifest.md has a complete one.")
    meant = {nearest(key[:60], _MARKS) for key in list(data)[:40]}
    framework = data.get("framework")
    is_ffdl = _FFDL_MARKS & data.keys() or "data_stores" in meant
    return "ffdl" if is_ffdl or (isinstance(framework, dict) and "command" in framework) else "wml"


def check_family(document: Document, kind: str) -> None:
    """Raise TrainyardError C101 for a file that is surely no `training-definition`, or no `experiment`."""
    data, (wanted, hint) = document.data, _WANTED[kind]
    if not isinstance(data, dict):
        raise _refusal(document, f"the file is {_kind(data)}, not a map with the keys of {wanted}.", hint)
    found = _neighbour(data) or (_TRAINING if {"model_definition", *_FFDL_MARKS} & data.keys() else None)
    if found and found is not _KINDS[kind]:
        raise _refusal(document, f"this is {found[0]}, not {wanted}.", hint)


def _neighbour(data: Mapping[str, Any]) -> tuple[str, str] | None:
    if _is_v4(data):
        return _V4
    if "model_definition" in data:
        return None
    if "entity" in data and {"metadata", "status"} & data.keys():
        return _ANSWER
    if "resources" in data and {"limit", "first", "total_count", "count"} & data.keys():
        return _LISTING
    if _is_experiment(data):
        return _EXPERIMENT
    if "hyper_parameters_optimization" in data or "hyper_parameters" in data:
        return _SEARCH
    if {"apiVersion", "kind"} <= data.keys():
        return _KUBERNETES
    if any(isinstance(value, dict) and "script" in value for value in data.values()):
        return "a pipeline of GitLab", _ELSEWHERE
    if "model_identifier" in data or {"train", "process"} & data.keys():
        return _TRAINING_CONFIG
    if _is_definition(data):
        return _DEFINITION
    found = next((name for keys, name in _OTHERS if keys <= data.keys()), None)
    return (found, _ELSEWHERE) if found else None


def _is_experiment(data: Mapping[str, Any]) -> bool:
    return bool({"training_references", "settings"} & data.keys())


def _is_definition(data: Mapping[str, Any]) -> bool:
    return bool("framework" in data and _DEFINITION_MARKS & data.keys() and not _FFDL_MARKS & data.keys())


def _is_foreign(data: Mapping[str, Any]) -> bool:
    """Say whether a file has keys, and none that is a part of a manifest, rightly spelt or nearly so."""
    return bool(data) and not any(key in _PARTS or nearest(key[:60], _PARTS) for key in list(data)[:40])


def _is_v4(data: Mapping[str, Any]) -> bool:
    model = data.get("model_definition")
    own = {"software_spec", "hardware_spec"} & model.keys() if isinstance(model, dict) else set()
    return bool(own or {"training_data_references", "results_reference"} <= data.keys())


def _kind(data: Any) -> str:
    return "a list" if isinstance(data, list) else "a single value"


def _refusal(document: Document, message: str, hint: str) -> TrainyardError:
    line, column = document.key_position(()) or (1, 1)
    hint = hint or "Begin with model_definition, or with FfDL's keys."
    return TrainyardError.refused([Problem(message, hint, line=line, column=column)])
