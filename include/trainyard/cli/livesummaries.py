"""The TensorBoard summaries of runs that are going, copied on while their programs write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event, Thread

from trainyard.client.download import Target
from trainyard.client.rest import RestClient
from trainyard.errors import TrainyardError

_EVERY_SECONDS = 4.0


class LiveSummaries:
    """Copies what is new of some runs into a folder, a folder for each run, until they have ended.

    `report` is called with what cannot be had.
    """

    def __init__(self, service: RestClient, model_ids: list[str], place: Path, report: Callable[[str], object]) -> None:
        self._service, self._place, self._report = service, place, report
        self._going = list(model_ids)

    @property
    def over(self) -> bool:
        return not self._going

    def copy(self) -> None:
        """Copy what is new; a service that does not answer is asked again the next time."""
        for model_id in tuple(self._going):
            try:
                if self._copied(model_id):
                    self._going.remove(model_id)
            except (TrainyardError, OSError) as error:
                self._report(f"{model_id}: {error}")

    def _copied(self, model_id: str) -> bool:
        """Copy what is new of a run; return whether that was all there will ever be."""
        ended = self._service.run(model_id).ended
        target = Target(self._place / model_id)
        for row in self._service.summaries(model_id):
            read = partial(self._service.summary, model_id, row.name)
            self._append(target.path(row.name), row.size, read)
        if ended:
            self._finish(model_id)
        return ended

    def _finish(self, model_id: str) -> None:
        """Copy from the bucket what came last: a run stores its files under other names, but for the last part."""
        known = _files(self._place / model_id)
        for row in self._service.results(model_id):
            name = PurePosixPath(row.name).name
            if "tfevents" in name:
                path = known.get(name) or Target(self._place / model_id).path(row.name)
                self._append(path, row.size, partial(self._stored, model_id, row.name))

    def _stored(self, model_id: str, name: str, have: int) -> bytes:
        return b"".join(self._service.result(model_id, name, have))

    def _append(self, path: Path, size: int, read: Callable[[int], bytes]) -> None:
        have = path.stat().st_size if path.exists() else 0
        if have > size:  # another file has taken its place
            path.unlink()
            have = 0
        while have < size and (data := read(have)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(data)
            have += len(data)


@contextmanager
def following(live: LiveSummaries) -> Iterator[None]:
    """Copy in a thread of its own until all runs have ended, or what is done meanwhile has."""
    left = Event()

    def work() -> None:
        while not live.over and not left.wait(_EVERY_SECONDS):
            live.copy()

    live.copy()  # what is there is there before anybody looks
    thread = Thread(target=work, name="summaries", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def _files(folder: Path) -> Mapping[str, Path]:
    return {path.name: path for path in folder.rglob("*tfevents*") if path.is_file()}
