"""Where each concept of a training stands in a manifest, whatever its family and generation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainyard.manifest.document import Document, Path

_DEFINITION = ("model_definition",)
# What is accepted and has no effect, with the reason that the submitter gets.
_NOT_USED = {
    "storage": "results go to the bucket without a limit of their own",
    "image_tag": "the framework's version says which image is used",
}


@dataclass(frozen=True)
class StoreLayout:
    """The places of one object store. `at` is its reference, where what is missing altogether is reported."""

    at: Path
    kind: Path
    bucket: Path
    connection: Path
    endpoint: Path
    user: Path
    secret: Path
    region: Path
    domain: Path
    project: Path

    @property
    def prefix(self) -> Path:
        return (*self.bucket[:-1], "prefix")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything of the store that has to be filled in."""
        return (
            self.kind,
            self.bucket,
            self.connection,
            self.endpoint,
            self.user,
            self.secret,
            self.region,
            self.domain,
            self.project,
        )


@dataclass(frozen=True)
class Layout:
    """The places of everything else. A concept that a family does not have is None."""

    family: str
    name: Path
    description: Path
    framework_name: Path
    framework_version: Path
    command: Path
    data: StoreLayout
    results: StoreLayout
    nodes: Path
    author: Path | None = None
    python: Path | None = None
    size: Path | None = None
    gpus: Path | None = None
    cpus: Path | None = None
    memory: Path | None = None
    gpu_type: Path | None = None
    image_tag: Path | None = None
    hyperparameters: Path | None = None

    @property
    def placeholder_paths(self) -> tuple[Path, ...]:
        """Every place where a template's filler would be taken for a value."""
        own = (self.name, self.framework_name, self.framework_version, self.command, self.size, self.memory)
        return (*(path for path in own if path), *self.data.paths, *self.results.paths)

    def of_plan(self, path: str) -> Path | None:
        """Find the place that a problem of `make_plan` speaks of."""
        return {
            "framework.name": self.framework_name,
            "framework.version": self.framework_version,
            "resources": self.size or self.gpus,
            "resources.size": self.size,
            "resources.nodes": self.nodes,
        }.get(path)


def wml_layout(document: Document) -> Layout:
    """Find every value, in whichever of the generations' spellings it is given."""
    execution = (*_DEFINITION, "execution")
    size = first_given(document, execution, "resource", "resourceType", "compute_configuration")
    return Layout(
        family="wml",
        name=(*_DEFINITION, "name"),
        description=(*_DEFINITION, "description"),
        author=(*_DEFINITION, "author"),
        framework_name=(*_DEFINITION, "framework", "name"),
        framework_version=(*_DEFINITION, "framework", "version"),
        python=(*first_entry(document, (*_DEFINITION, "framework", "runtimes")), "version"),
        command=(*execution, "command"),
        hyperparameters=(*execution, "hyperparameters"),
        size=(*size, "name") if size[-1] == "compute_configuration" else size,
        nodes=(*execution, "compute_configuration", "nodes"),
        data=reference_layout(document, ("training_data_reference", "training_data"), "source"),
        results=reference_layout(document, ("training_results_reference", "training_results"), "target"),
    )


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
    )


def ffdl_warnings(document: Document) -> list[str]:
    """Return a warning for every key that is read and has no effect."""
    found = []
    for path in (("storage",), ("framework", "image_tag")):
        place = document.key_position(path)
        if place and not (path[-1] == "image_tag" and document.text(("framework", "name")) == "custom"):
            found.append(f"line {place[0]}: {path[-1]} has no effect: {_NOT_USED[path[-1]]}")
    return found


def first_given(document: Document, at: Path, *names: str) -> Path:
    """Return the first of several spellings that has a value; the first of all where none has."""
    paths = [(*at, name) for name in names]
    filled = (path for path in paths if document.value(path) not in (None, ""))
    written = (path for path in paths if document.has(path))
    return next(filled, next(written, paths[0]))


def store_layout(document: Document, at: Path, bucket: Path, kind: Path) -> StoreLayout:
    """Find the places of a store whose `connection` lies below `at`, in every spelling of its keys."""
    connection = (*at, "connection")
    return StoreLayout(
        at=at,
        kind=kind,
        bucket=bucket,
        connection=(*connection, "name"),
        endpoint=first_given(document, connection, "endpoint_url", "auth_url"),
        user=first_given(document, connection, "access_key_id", "aws_access_key_id", "user_name", "userId"),
        secret=first_given(document, connection, "secret_access_key", "aws_secret_access_key", "password"),
        region=(*connection, "region"),
        domain=(*connection, "domain_name"),
        project=(*connection, "project_id"),
    )


def reference_layout(document: Document, spellings: tuple[str, ...], side: str) -> StoreLayout:
    """Find a store's reference in whichever of the spellings it is given; its bucket is below `side`."""
    at = first_entry(document, first_given(document, (), *spellings))
    outer, inner = (*at, "type"), (*at, side, "type")
    kind = inner if document.text(inner) else outer
    return store_layout(document, at, first_given(document, (*at, side), "bucket", "container"), kind)


def first_entry(document: Document, path: Path) -> Path:
    """Return the path of the map itself, which some generations put into a list of one."""
    return (*path, 0) if document.has((*path, 0)) else path
