"""Amounts of memory and cpu, as people and Kubernetes write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.quantity import cpu_millis, cpu_text, memory_bytes, memory_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("300MiB", 300 * 1024**2),
        ("1GiB", 1024**3),
        ("1Gi", 1024**3),
        ("8Gb", 8 * 1000**3),
        ("16GB", 16 * 1000**3),
        ("1.5 GiB", 3 * 512 * 1024**2),
        (" 2g ", 2 * 1000**3),
        ("0.1GB", 100_000_000),
        ("1TiB", 1024**4),
        ("7b", 7),
    ],
)
def test_memory_is_read_in_every_spelling_people_use(text, size):
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1 XB", "1GBs", "1,5GB", "GiB", "1e9", "nan", "0x10", "1 0"])
def test_a_mistyped_memory_size_is_never_replaced_by_a_default(text):
    with pytest.raises(ValueError, match="not a memory size"):
        memory_bytes(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(8 * 1024**3, "8Gi"), (1536 * 1024**2, "1536Mi"), (3 * 1024, "3Ki"), (1000, "1000"), (0, "0")],
)
def test_memory_is_written_in_the_largest_unit_that_loses_nothing(size, text):
    assert memory_text(size) == text


@given(st.integers(min_value=0, max_value=2**60))
def test_memory_that_is_written_reads_back_as_it_was(size):
    assert memory_bytes(memory_text(size)) == size


@pytest.mark.parametrize(("text", "millis"), [("4", 4000), ("0.25", 250), ("250m", 250), (" 2 ", 2000), ("1.5", 1500)])
def test_cpus_are_read_into_thousandths(text, millis):
    assert cpu_millis(text) == millis


@pytest.mark.parametrize("text", ["", "four", "-1", "4 cores", "1e3", "m"])
def test_a_mistyped_number_of_cpus_is_refused(text):
    with pytest.raises(ValueError, match="not a number of cpus"):
        cpu_millis(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_cpus_that_are_written_read_back_as_they_were(millis):
    assert cpu_millis(cpu_text(millis)) == millis
