"""Read the values of a manifest into the domain's terms; whatever cannot be read becomes a fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard.domain.limits import FrameworkImage, Limits
from trainyard.domain.plan import CUSTOM
from trainyard.domain.quantity import cpu_millis, memory_bytes
from trainyard.domain.training import Author, Credentials, Framework, Resources, StoreRef
from trainyard.intake.document import Document, Path
from trainyard.intake.endpoint import Endpoint, read_endpoint
from trainyard.intake.faults import Faults
from trainyard.intake.layout import Layout, StoreLayout
from trainyard.intake.masking import brief
from trainyard.stores.addresses import ANYWHERE, AddressPolicy

S3 = "s3"
SWIFT = "bluemix_objectstore"
_KINDS = {
    **dict.fromkeys(("s3", "s3_datastore", "mount_cos"), S3),
    **dict.fromkeys(("bluemix_objectstore", "softlayer_objectstore", "swift", "swift_datastore"), SWIFT),
}
_AUTHOR = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>\s*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
_S3_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_PATCH = re.compile(r"(\d+\.\d+)\.\d+")
# Below this a memory is a number whose unit was forgotten; above, no machine has it.
_LEAST_MEMORY, _MOST_MEMORY = 2**20, 2**50
_MOST_CPU_MILLIS = 10_000_000


@dataclass(frozen=True)
class Values:
    """Reads one document. What a method cannot read is noted in `faults` and comes back as None."""

    document: Document
    layout: Layout
    limits: Limits
    faults: Faults
    addresses: AddressPolicy = ANYWHERE
    warnings: list[str] = field(default_factory=list)

    def text(self, path: Path | None) -> str | None:
        """Return the source text of a value; None if there is none, or a fault was told of it."""
        if path is None or path in self.faults or self.document.value(path) is None:
            return None
        text = self.document.text(path)
        return text.strip() or None if text else None

    def warn(self, path: Path, sentence: str) -> None:
        line, _ = self.document.nearest_position(path)
        warning = f"line {line}: {sentence}"
        if warning not in self.warnings:
            self.warnings.append(warning)

    def author(self) -> Author | None:
        path = self.layout.author
        if path is None:
            return None
        if text := self.text(path):
            match = _AUTHOR.fullmatch(text)
            if match:
                return Author(match["name"].strip(), match["email"].strip())
            return Author(email=text) if "@" in text else Author(name=text)
        author = Author(self.text((*path, "name")) or "", self.text((*path, "email")) or "")
        return author if str(author) else None

    def framework(self) -> Framework | None:
        """Return the framework by the name and version that the catalogue gives it."""
        name, version = self.text(self.layout.framework_name), self.text(self.layout.framework_version)
        if name is None or version is None or not self._keeps_its_text(self.layout.framework_version):
            return None
        if name.lower() == CUSTOM:
            return self._custom_framework(version)
        found = self._known_framework(name, version)
        if found:
            return Framework(found.name, found.version)
        if versions := self.limits.versions_of(name):
            cure = f"Use one of {', '.join(versions)}."
            self.faults.add(self.layout.framework_version, f"{name} has no version {brief(version)}.", cure)
        else:
            cure = f"Use one of {', '.join(self.limits.framework_names())}, or custom with an image as version."
            self.faults.add(self.layout.framework_name, f"there is no framework {brief(name)}.", cure)
        return None

    def resources(self) -> Resources:
        nodes = self.whole(self.layout.nodes) or 1
        if self.layout.size is not None:
            return Resources(size=self._size(self.layout.size), nodes=nodes)
        return Resources(
            gpus=self.whole(self.layout.gpus),
            cpu_millis=self._amount(self.layout.cpus, cpu_millis, 1, _MOST_CPU_MILLIS, "cpus is a number such as 0.5."),
            memory=self._amount(
                self.layout.memory, memory_bytes, _LEAST_MEMORY, _MOST_MEMORY, "Write it with its unit, such as 2GiB."
            ),
            gpu_type=self._gpu_type(),
            nodes=nodes,
        )

    def store(self, store: StoreLayout) -> tuple[StoreRef, Credentials] | None:
        kind = _KINDS.get(self.text(store.kind) or "")
        bucket, endpoint = self._bucket(store.bucket, kind), self._endpoint(store.endpoint)
        user, secret = self.text(store.user), self.text(store.secret)
        if kind is None or bucket is None or endpoint is None or user is None or secret is None:
            return None
        region = self.text(store.region)
        swift = (self.text(store.domain), self.text(store.project)) if kind == SWIFT else (None, None)
        # Blanks around a password may belong to it.
        secret = self.document.text(store.secret) or secret
        return StoreRef(kind, bucket, endpoint, region, *swift), Credentials(user, secret)

    def _keeps_its_text(self, path: Path) -> bool:
        """Tell what YAML takes for a number: `1.5` survives that, `0.10` does not."""
        value, text = self.document.value(path), self.document.text(path)
        if not isinstance(value, float):
            return True
        if repr(value) == text:
            self.warn(path, f'version {text} is a number to YAML; write "{text}" in quotes')
            return True
        message = f"version {text} is a number to YAML, which reads it as {value!r}."
        self.faults.add(path, message, f'Write "{text}" in quotes.')
        return False

    def _custom_framework(self, version: str) -> Framework | None:
        tag = self.text(self.layout.image_tag)
        image = f"{version}:{tag}" if tag and ":" not in version.rpartition("/")[2] else version
        if _IMAGE.fullmatch(image):
            return Framework(CUSTOM, image)
        cure = "Write the image as the cluster pulls it, such as me/my-image:1.0."
        self.faults.add(self.layout.framework_version, "the version of a custom framework is its image.", cure)
        return None

    def _known_framework(self, name: str, version: str) -> FrameworkImage | None:
        found = (self.limits.framework(name, spelling) for spelling in self._version_spellings(name, version))
        return next((framework for framework in found if framework), None)

    def _version_spellings(self, name: str, version: str) -> list[str]:
        """List what a version may be called in the catalogue, best first.

        FfDL's versions are image tags and say all; the service's leave the Python to `runtimes` and never meant the
        patch level.
        """
        if self.layout.family == "ffdl" or version in self.limits.versions_of(name):
            return [version]
        match = _PATCH.fullmatch(version)
        versions = [match[1], version] if match else [version]
        python = (self.text(self.layout.python) or "")[:1]
        return [*(f"{each}-py{python}" for each in versions if python), *versions]

    def _size(self, path: Path) -> str | None:
        text = self.text(path)
        if text is None:
            return None
        name = self.limits.size_name(text)
        if name is None:
            cure = f"Use one of {', '.join(self.limits.sizes)}."
            self.faults.add(path, f"there is no size {brief(text)}.", cure, "C104")
        return name

    def whole(self, path: Path | None) -> int | None:
        """Return a whole number; None if there is none, or a fault was told of it."""
        return None if path is None or self.text(path) is None else int(self.document.value(path))

    def _amount(self, path: Path | None, read: Callable[[str], int], least: int, most: int, cure: str) -> int | None:
        text = self.text(path)
        if path is None or text is None:
            return None
        value = self.document.value(path)
        try:
            amount = read(text[:60] if isinstance(value, str) else str(value))
        except ValueError:
            amount = 0
        if amount < least:
            self.faults.add(path, f"{brief(text)} cannot be the {path[-1]} of a run.", cure)
        elif amount > most:
            self.faults.add(path, f"no machine has {path[-1]} of {brief(text)}.", "Ask for less.", "C104")
        return amount

    def _gpu_type(self) -> str | None:
        path = self.layout.gpu_type
        text = self.text(path)
        if path is None or text is None or text.lower() in self.limits.gpu_nodes:
            return text
        cure = f"Use one of {', '.join(self.limits.gpu_nodes)}, or remove it."
        self.faults.add(path, f"there is no gpu_type {brief(text)}.", cure, "C104")
        return None

    def _bucket(self, path: Path, kind: str | None) -> str | None:
        text = self.text(path)
        if text and kind == S3 and not _S3_BUCKET.fullmatch(text):
            cure = "Use letters, digits, dots, dashes and underscores."
            self.faults.add(path, "this is not the name of an S3 bucket.", cure)
        return text

    def _endpoint(self, path: Path) -> str | None:
        text = self.text(path)
        if text is None:
            return None
        endpoint = read_endpoint(text, self.addresses)
        if not isinstance(endpoint, Endpoint):
            self.faults.add(path, *endpoint)
            return None
        if endpoint.added:
            self.warn(path, f"{path[-1]} has no scheme; {endpoint.url} is used")
        return endpoint.url
