"""Compare the locked dependencies with the known advisories: `make audit-dependencies`, and the end of `make lint`.

pip-audit asks PyPI for each package. What it cannot ask about it skips and calls the rest fine, so one package is tried
first: where there is no answer for that, nothing was checked, and this says so instead of reporting that all is well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_ANSWER_SECONDS = "10"
_MAX_SECONDS = 600.0


class NotCheckedError(Exception):
    """There is no telling whether an advisory applies; the message is why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where no advisory applies, 1 where one does, and 2 (with `--offline-ok`: 0) where none was to be had."""
    options = _options(arguments)
    try:
        accepted = read_accepted(options.accepted.read_text("utf-8"))
        dependencies = _audited(options.pip_audit, options.lock)
    except NotCheckedError as reason:
        print(f"advisories not checked: {reason}")
        return 0 if options.offline_ok else 2
    except ValueError as fault:
        print(f"{options.accepted}: {fault}")
        return 1
    lines, applies = judged(dependencies, accepted)
    print("\n".join(lines))
    return 1 if applies else 0


def read_accepted(text: str) -> dict[str, str]:
    """Return id -> reason; raise ValueError for a line without a reason."""
    lines = (line.strip() for line in text.splitlines())
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    lacking = next((name for name, _, reason in pairs if not reason.strip()), None)
    if lacking:
        raise ValueError(f"{lacking} has no reason behind it")
    return {name: reason.strip() for name, _, reason in pairs}


def judged(dependencies: Sequence[Mapping[str, Any]], accepted: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return what to print, and whether an advisory applies that was not accepted."""
    found = [(each, vuln) for each in dependencies for vuln in each.get("vulns", ())]
    applying = [(each, vuln) for each, vuln in found if not _ids(vuln) & accepted.keys()]
    known = {name for _, vuln in found for name in _ids(vuln)}
    skipped = sorted(each["name"] for each in dependencies if "skip_reason" in each)
    lines = [_line(each, vuln) for each, vuln in applying]
    lines += [
        f"accepted.txt: {name} applies to nothing that is locked any more" for name in accepted if name not in known
    ]
    lines += [f"not known to PyPI, and not checked: {', '.join(skipped)}"] if skipped else []
    checked = len(dependencies) - len(skipped)
    return [*lines, f"{checked} locked packages checked, {len(applying)} advisories apply"], bool(applying)


def _line(dependency: Mapping[str, Any], vuln: Mapping[str, Any]) -> str:
    fixed = ", ".join(vuln.get("fix_versions", ())) or "no version yet"
    return f"{dependency['name']} {dependency['version']}: {', '.join(sorted(_ids(vuln)))}; fixed in {fixed}"


def _ids(vuln: Mapping[str, Any]) -> set[str]:
    return {vuln["id"], *vuln.get("aliases", ())}


def _audited(pip_audit: Path, lock: Path) -> list[dict[str, Any]]:
    pins = [line.split(";")[0].strip() for line in lock.read_text("utf-8").splitlines() if "==" in line]
    pins = [pin for pin in pins if not pin.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "pins.txt"
        asked.write_text(f"{pins[0]}\n")
        if all("skip_reason" in each for each in _asked(pip_audit, asked)):
            raise NotCheckedError("PyPI's advisories cannot be had from here")
        asked.write_text("\n".join(pins) + "\n")
        return _asked(pip_audit, asked)


def _asked(pip_audit: Path, pins: Path) -> list[dict[str, Any]]:
    options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", f"--timeout={_ANSWER_SECONDS}"]
    command = [str(pip_audit), f"--requirement={pins}", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MAX_SECONDS)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotCheckedError(f"pip-audit did not run ({type(error).__name__})") from None
    except (ValueError, LookupError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise NotCheckedError(f"pip-audit failed: {last[:200]}") from None
    return dependencies


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip-audit", type=Path, default=Path(".venv/advisories/bin/pip-audit"))
    parser.add_argument("--lock", type=Path, default=Path("requirements.txt"))
    parser.add_argument("--accepted", type=Path, default=_HERE / "accepted.txt")
    parser.add_argument("--offline-ok", action="store_true", help="only say so where there are no advisories to be had")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
