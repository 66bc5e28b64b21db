"""Where each concept of a training stands in a manifest, whatever its family and generation."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.manifest.document import Document, Path


@dataclass(frozen=True)
class StoreLayout:
    """The places of one object store. `at` is its reference, where what is missing altogether is told."""

    at: Path
    kind: Path
    bucket: Path
    endpoint: Path
    user: Path
    secret: Path
    region: Path
    domain: Path
    project: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything of the store that has to be filled in."""
        return (
            self.kind,
            self.bucket,
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
    metrics: Path | None = None
    image_tag: Path | None = None
    hyperparameters: Path | None = None

    @property
    def filled_in(self) -> tuple[Path, ...]:
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
        endpoint=first_given(document, connection, "endpoint_url", "auth_url"),
        user=first_given(document, connection, "access_key_id", "aws_access_key_id", "user_name", "userId"),
        secret=first_given(document, connection, "secret_access_key", "aws_secret_access_key", "password"),
        region=(*connection, "region"),
        domain=(*connection, "domain_name"),
        project=(*connection, "project_id"),
    )
