"""A pod like a training's that reads a random word from the workspace and writes it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any, Protocol

from trainyard.cluster.diagnosis import diagnose, ended, image_trouble, succeeded, waiting_reason
from trainyard.cluster.diagnosis.status import read_status
from trainyard.cluster.spec import training_pod
from trainyard.doctor.probepod import MAX_SECONDS, OTHER_WORKSPACE, PREFIX, WORD, probe_run
from trainyard.domain.finding import Finding, fine, wrong
from trainyard.domain.limits import FrameworkImage, Limits
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.tree import open_folders, remove
from trainyard.workspace.layout import RunFolder, Workspace

WORKSPACE, IMAGE = "workspace", "image"
_POLL_SECONDS = 0.5
# What a file system over a network may take to show here what was written there.
_ARRIVAL_SECONDS = 10.0
_SAME = (
    "Let TRAINYARD_WORKSPACE here and TRAINYARD_WORKSPACE_VOLUME in the pods be the same folder, writable for "
    "TRAINYARD_POD_USER."
)
_FIRST = "Fix what keeps the probe pod from starting first."
_PULL = (
    "Look at the image's name in frameworks.yaml, and at the registry, its credentials and the network of the nodes."
)


class Pods(Protocol):
    """The probe pods in the trainings' namespace, by the probe's id. Every method raises TrainyardError."""

    def permit(self) -> None:
        """Raise where the service may not make and remove pods."""

    def create(self, body: dict[str, Any]) -> None: ...

    def look(self, probe_id: str) -> dict[str, Any] | None:
        """Return the pod as the API's JSON, None where there is none."""

    def remove(self, probe_id: str) -> None:
        """Remove the pod and return when it is gone; one that is not there is fine."""


@dataclass(frozen=True)
class Probe:
    """Makes probe pods; one that has not ended after `seconds` is given up. Nothing of them stays."""

    pods: Pods
    workspace: Workspace
    limits: Limits
    settings: Settings
    seconds: float

    def whole(self, image: FrameworkImage, stop: Event) -> list[Finding]:
        """Return whether the image arrives and whether pods and service see one workspace."""
        found = self._run(image, stop)
        return [*found, *self._swept()] if all(one.ok for one in found) else found

    def image(self, image: FrameworkImage, stop: Event) -> list[Finding]:
        """Return whether the image arrives."""
        return [finding for finding in self._run(image, stop) if finding.check == IMAGE]

    def _swept(self) -> list[Finding]:
        """Remove what doctors that were killed have left: it is older than a doctor can be."""
        since, left = time.time() - 2 * MAX_SECONDS, []
        for name, changed in self.workspace.probes().items():
            if name.startswith(PREFIX) and changed < since:
                left += self._removed(name) or _left(name, partial(remove, self.workspace.probe(name).root))
        return left

    def _run(self, image: FrameworkImage, stop: Event) -> list[Finding]:
        probe_id = f"{PREFIX}{token_hex(6)}"
        folder, word = self.workspace.probe(probe_id), token_hex(16)
        try:
            self.workspace.root.stat()  # a wrong setting is to be reported, not to become a folder
            _lay_out(folder, word)
            found = self._in_pod(probe_id, image, word, stop)
        except OSError as error:
            hint = f"Let user {self.settings.pod_user} write there, and look whether it is mounted and has room."
            message = f"the service cannot use its workspace {self.workspace.root}: {error.strerror}"
            found = [_untried(image), wrong(WORKSPACE, message, hint)]
        finally:
            left = _left(str(folder.root), partial(remove, folder.root)) if folder.root.exists() else []
            _remove_empty(folder.root.parent)
        return [*found, *left]

    def _in_pod(self, probe_id: str, image: FrameworkImage, word: str, stop: Event) -> list[Finding]:
        body = training_pod(probe_run(probe_id, image, self.limits, self.settings, self.workspace, self.seconds))
        made, left = False, list[Finding]()
        try:
            self.pods.permit()
            try:
                self.pods.create(body)
                made = True
                pod = self._await(probe_id, stop)
            finally:  # also where creating it failed: the cluster may have made it all the same
                left = self._removed(probe_id)
        except TrainyardError as error:
            return [_untried(image), wrong(WORKSPACE, error.message, error.hint), *(left if made else ())]
        arrived = self._arrived(self.workspace.probe(probe_id), word, pod)
        return [_image_finding(pod, image.image), _workspace_finding(pod, arrived, self.seconds), *left]

    def _await(self, probe_id: str, stop: Event) -> dict[str, Any]:
        """Return the pod when it has ended, when its image does not arrive, or when its time is over."""
        deadline = time.monotonic() + self.seconds
        while True:
            pod = self.pods.look(probe_id)
            if pod is None:
                raise TrainyardError("S102", f"the probe pod of {probe_id} was removed by somebody else", "Try again.")
            over = time.monotonic() > deadline or stop.wait(_POLL_SECONDS)
            if over or ended(pod, time.time()) or image_trouble(pod):
                return pod

    def _arrived(self, folder: RunFolder, word: str, pod: dict[str, Any]) -> bool:
        if not succeeded(pod):
            return False
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while not (there := _reads(folder, word)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return there

    def _removed(self, probe_id: str) -> list[Finding]:
        return _left(f"the pod of {probe_id}", partial(self.pods.remove, probe_id))


def _left(name: str, remove_it: Callable[[], None]) -> list[Finding]:
    """Remove something; return that it is left behind where it cannot be."""
    try:
        remove_it()
    except (TrainyardError, OSError) as error:
        stated = error.message if isinstance(error, TrainyardError) else error.strerror
        hint = "Remove it by hand. Workers and pods have to be the same user (TRAINYARD_POD_USER)."
        return [wrong(WORKSPACE, f"{name} is left behind: {stated}", hint)]
    return []


def _remove_empty(folder: Path) -> None:
    """Remove the folder of all probes, unless another doctor's is in it."""
    with suppress(OSError):
        folder.rmdir()


def _lay_out(folder: RunFolder, word: str) -> None:
    """Make what a pod mounts, as staging does, with the word where the dataset is."""
    data = folder.root / "data"
    for each in (*folder.folders, data, folder.root / "checkpoints"):
        each.mkdir(parents=True)
    (data / WORD).write_text(word)
    open_folders(folder.root, 0o777)


def _reads(folder: RunFolder, word: str) -> bool:
    try:
        return (folder.result / WORD).read_text() == word
    except OSError:
        return False


def _untried(image: FrameworkImage) -> Finding:
    return wrong(IMAGE, f"{image.image} was not tried: there was no probe pod", _FIRST)


def _image_finding(pod: dict[str, Any], image: str) -> Finding:
    if trouble := image_trouble(pod):
        return wrong(
            IMAGE, f"{image} does not arrive ({read_status(pod).waiting or 'ImagePullBackOff'}): {trouble}", _PULL
        )
    if _ran(pod):
        return fine(IMAGE, f"{image} arrives")
    waits = waiting_reason(pod) or "the pod ended before its container ran"
    return wrong(IMAGE, f"{image} was not seen to arrive: {waits}", "Give it more time with --wait, or more room.")


def _workspace_finding(pod: dict[str, Any], arrived: bool, seconds: float) -> Finding:
    if arrived:
        return fine(WORKSPACE, "a pod and the service read and write the same one")
    if image_trouble(pod):
        return wrong(WORKSPACE, "it was not tried: the probe pod has no image", _FIRST)
    if read_status(pod).exit_code == OTHER_WORKSPACE or succeeded(pod):
        return wrong(WORKSPACE, "pods see another workspace than the service", _SAME)
    if outcome := diagnose(pod, 0, 0, time.time()):
        return wrong(WORKSPACE, f"the probe pod failed: {outcome.message}", _SAME if _ran(pod) else outcome.hint)
    waits = waiting_reason(pod) or "it still runs"
    hint = (
        "A claim without a volume, a folder that the node lacks or a full cluster look like this; --wait gives it more "
        "time, and `kubectl describe pod` tells meanwhile."
    )
    return wrong(WORKSPACE, f"the probe pod did not end within {seconds:g} seconds: {waits}", hint)


def _ran(pod: dict[str, Any]) -> bool:
    rows = (pod.get("status") or {}).get("containerStatuses") or [{}]
    state = rows[0].get("state") or {}
    return bool(state.get("running") or state.get("terminated"))
