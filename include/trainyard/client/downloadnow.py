"""What a run has made so far, fetched while its program goes on writing."""

from __future__ import annotations

from trainyard.client.download import Target
from trainyard.client.errors import WrongUsageError
from trainyard.client.rest import RestClient
from trainyard.errors import TrainyardError

_MAX_NOTES = 20


def fetch_now(service: RestClient, model_id: str, target: Target, force: bool) -> tuple[dict[str, int], list[str]]:
    """Fetch each file as it is at its moment; return name -> size, and notes of what changed or vanished meanwhile.

    Raise WrongUsageError for files that are there already, unless `force`.
    """
    listed, notes = service.live_files(model_id)
    if not force and (there := [row.name for row in listed if target.path(row.name).exists()]):
        hint = "Replace them with --force, or name another folder."
        raise WrongUsageError(f"{len(there)} files would be written over, such as {there[0]}", hint)
    found: dict[str, int] = {}
    for row in listed:
        size = _fetched(service, model_id, row.name, target)
        if size is None:
            notes.append(f"{row.name} is not there any more")
            continue
        found[row.name] = size
        if size != row.size:
            notes.append(f"{row.name} changed while it was read: {row.size} bytes were listed, {size} came")
    target.finish()
    more = len(notes) - _MAX_NOTES
    return found, [*notes[:_MAX_NOTES], *([f"so did {more} others"] if more > 0 else [])]


def _fetched(service: RestClient, model_id: str, name: str, target: Target) -> int | None:
    """Fetch a file, which takes its name when all of it is there; return its size, None for one that has gone."""
    aside, path = target.aside(model_id, name, 0), target.path(name)
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            for chunk in service.live_file(model_id, name):
                file.write(chunk)
            size = file.tell()
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(path)
    except TrainyardError as error:
        if error.code.code != "C107":
            raise
        return None
    except OSError as error:
        place = error.filename or target.folder
        raise WrongUsageError(f"{place} cannot be written: {error.strerror}", "Name another folder.") from None
    return size
