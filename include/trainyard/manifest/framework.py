"""Read the framework of a manifest: the build that its name, version and Python choose, and how that build fits."""

from __future__ import annotations

import re

from trainyard.domain.limits import FrameworkImage
from trainyard.domain.plan import CUSTOM
from trainyard.domain.training import Framework
from trainyard.manifest.masking import brief
from trainyard.manifest.suggestions import did_you_mean, nearest
from trainyard.manifest.values import Values

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
_PATCH = re.compile(r"(\d+\.\d+)\.\d+")
_NUMBERS = re.compile(r"(\d+)[.,](\d+)")
_STARTS_PROCESSES = re.compile(r"\b(mpirun|mpiexec|horovodrun|ddlrun)\b")


def read_framework(values: Values) -> Framework | None:
    """Return the framework by the name and version that the catalogue gives it; None if there are faults."""
    layout = values.layout
    name, version = values.text(layout.framework_name), values.text(layout.framework_version)
    if name is None or version is None or not values.keeps_its_digits(layout.framework_version):
        return None
    if name.lower() == CUSTOM:
        return _custom(values, version)
    known = values.limits.name_of(name)
    meant = known or _meant_name(values, name)
    if known is None:
        otherwise = f"Use one of {', '.join(values.limits.framework_names())}, or custom with an image as version."
        values.faults.add(
            layout.framework_name, f"there is no framework {brief(name)}.", did_you_mean(meant, otherwise)
        )
    found = _build(values, meant, version) if meant else None
    if found is None and meant:
        hint = did_you_mean(_meant_version(values, meant, version), f"Use one of {_versions(values, meant)}.")
        values.faults.add(layout.framework_version, f"{meant} has no version {brief(version)}.", hint)
    if known is None or found is None:
        return None
    _check_python(values, found)
    _warn_of_patch_level(values, found, version)
    return Framework(found.name, found.version)


def warn_of_mismatches(values: Values, framework: Framework, gpus: int, command: str) -> None:
    """Warn of a build that cannot use the run's GPUs, or not run without, and of processes that are not started."""
    build = values.limits.framework(framework.name, framework.version)
    if build is None:
        return
    at = values.layout.framework_version
    if build.devices == "cpu" and gpus:
        values.warn(
            at, f"{framework} is built for processors only; {_gpus(gpus)} would be idle{_other(values, build, 'gpu')}"
        )
    elif build.devices == "gpu" and not gpus:
        values.warn(at, f"{framework} is built for GPUs and may not start without one{_other(values, build, 'cpu')}")
    if build.launcher and gpus > 1 and not _STARTS_PROCESSES.search(command):
        values.warn(
            values.layout.command,
            f"the command is started once, and uses one of {gpus} GPUs unless it starts more processes by itself; "
            f"write {build.launcher} -np {gpus} in front of it",
        )


def refuse_image_location(values: Values) -> None:
    """Say what FfDL's private registry becomes here. Its access token is not shown."""
    at = (*values.layout.framework_name[:-1], "image_location")
    if not values.document.has(at):
        return
    parts = [values.document.text((*at, key)) or f"<{key}>" for key in ("registry", "namespace")]
    image = brief("/".join([*parts, values.text(values.layout.framework_version) or "<name:tag>"]))
    message = "image_location is not read: the image's address is its version."
    hint = f"Remove it and write version: {image}; the cluster has the secrets that pull images."
    values.faults.add(at, message, hint, at_key=True)


def _custom(values: Values, version: str) -> Framework | None:
    tag = values.text(values.layout.image_tag)
    image = f"{version}:{tag}" if tag and ":" not in version.rpartition("/")[2] else version
    if _IMAGE.fullmatch(image):
        return Framework(CUSTOM, image)
    hint = "Write the image as the cluster pulls it, such as me/my-image:1.0."
    values.faults.add(values.layout.framework_version, "the version of a custom framework is its image.", hint)
    return None


def _build(values: Values, name: str, version: str) -> FrameworkImage | None:
    found = (values.limits.framework(name, spelling) for spelling in _spellings(values, name, version))
    return next((framework for framework in found if framework), None)


def _spellings(values: Values, name: str, version: str) -> list[str]:
    """List what a version may be called in the catalogue, best first.

    FfDL's versions are image tags and say all; the service's leave the Python to `runtimes` and never meant the
    patch level.
    """
    if values.layout.family == "ffdl" or version in values.limits.versions_of(name):
        return [version]
    match = _PATCH.fullmatch(version)
    versions = [match[1], version] if match else [version]
    python = _python(values)
    return [*(f"{each}-py{python}" for each in versions if python), *versions]


def _python(values: Values) -> str:
    """Return the major version of the Python that `runtimes` asks for; empty if it asks for none."""
    match = re.match(r"\d+", values.text(values.layout.python) or "")
    return match[0] if match else ""


def _check_python(values: Values, found: FrameworkImage) -> None:
    wanted, at = _python(values), values.layout.python
    if not wanted or at is None or not found.python or wanted == found.python:
        return
    other = next(
        (each for each in _siblings(values, found) if each.python == wanted and each.devices == found.devices), None
    )
    message = f"{found.name} {found.version} has Python {found.python}, not {brief(values.text(at) or '')}."
    hint = f"Remove runtimes, or write {found.python} in it."
    if other:
        hint = f'{hint[:-1]}; Python {wanted} comes with the framework\'s version "{other.version}".'
    values.faults.add(at, message, hint)


def _warn_of_patch_level(values: Values, found: FrameworkImage, version: str) -> None:
    wanted = _PATCH.match(version)
    if not wanted:
        return
    tag = found.image.rpartition(":")[2]
    own = next((match for match in _PATCH.finditer(tag) if match[1] == wanted[1]), None)
    if own and own[0] != wanted[0]:
        values.warn(
            values.layout.framework_version, f"version {wanted[0]} runs on {own[0]}, the image of {found.version}"
        )
    elif not own and version.lower() not in values.limits.spellings_of(found.name):
        values.warn(values.layout.framework_version, f"version {brief(version)} runs on the image of {found.version}")


def _meant_name(values: Values, name: str) -> str | None:
    names = {alias for alias, _ in values.limits.aliases} | set(values.limits.framework_names()) | {CUSTOM}
    meant = nearest(name, sorted(names))
    return values.limits.name_of(meant) if meant else None


def _meant_version(values: Values, name: str, version: str) -> str | None:
    """Find the version with the same first two numbers, or the other framework of a similar name that has this one."""
    wanted = _NUMBERS.search(version)
    spellings = values.limits.spellings_of(name)
    plain = re.sub(r"^v|(?<=\d)\.\d+(?=-|$)|(?<=py\d)\.\d+", "", version)
    if plain in spellings:
        return spellings[plain]
    same = [each for each in spellings if wanted and (m := _NUMBERS.search(each)) and m.groups() == wanted.groups()]
    if same:
        return spellings[nearest(version, same) or same[0]]
    others = (each for each in values.limits.framework_names() if each != name and (name in each or each in name))
    other = next((each for each in others if values.limits.framework(each, version)), None)
    return f"{other} {brief(version)}" if other else None


def _versions(values: Values, name: str) -> str:
    return ", ".join(values.limits.versions_of(name))


def _other(values: Values, build: FrameworkImage, devices: str) -> str:
    """Name the same version's build for other devices, if the catalogue has one."""
    same = (each for each in _siblings(values, build) if each.devices == devices and each.python == build.python)
    other = next(same, None)
    return f'; write version: "{other.version}" for the build that does' if other else ""


def _siblings(values: Values, build: FrameworkImage) -> list[FrameworkImage]:
    """List the other builds of the same release."""
    own = _NUMBERS.search(build.version)
    builds = values.limits.builds_of(build.name)
    return [
        each
        for each in builds
        if own and each != build and (m := _NUMBERS.search(each.version)) and m.groups() == own.groups()
    ]


def _gpus(count: int) -> str:
    return "its GPU" if count == 1 else f"its {count} GPUs"
