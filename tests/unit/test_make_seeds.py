"""What `make` hands to the programs that make things at random: a seed of theirs, or none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def commands(*words: str) -> str:
    """Return what make would run."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "SEED")}
    command = ["make", "-n", "-C", str(PROJECT), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=240).stdout


def test_a_campaign_of_faults_has_a_seed_only_where_one_is_asked_for() -> None:
    assert "--seed" not in commands("test-faults")
    assert "--seed 7" in commands("test-faults", "SEED=7")


@pytest.mark.parametrize("given", [[], ["SEED=1a2b"]])
def test_the_fuzzer_has_one_seed_for_all_that_it_makes(given: list[str]) -> None:
    words = commands("fuzz", "REQUESTS=1", *given).split()
    seeds = {words[words.index("--seed") + 1]}
    seeds |= {word.removeprefix("FUZZ_SEED=") for word in words if word.startswith("FUZZ_SEED=")}
    (seed,) = seeds
    assert int(seed, 16) == 0x1A2B if given else len(seed) == 8
