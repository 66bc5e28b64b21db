"""`make fuzz ENGINE=atheris`: manifests changed by what they cover, held against the same promises."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["trainyard.manifest", "trainyard.domain"]):
    from fuzz.judging_manifests import judge_manifest, run_manifest
from fuzz.manifests import real_manifests


def main() -> None:
    """Fuzz from the corpus folder that the arguments name; libFuzzer's own arguments are passed on."""
    corpus = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if corpus:
        _plant(corpus)
    atheris.Setup(sys.argv, _try)
    atheris.Fuzz()


def _plant(corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(real_manifests()):
        (corpus / f"real-{number}").write_bytes(data)


def _try(data: bytes) -> None:
    verdict = judge_manifest(data, run_manifest(data))
    if verdict.failed:
        raise AssertionError(verdict.detail)


if __name__ == "__main__":
    main()
