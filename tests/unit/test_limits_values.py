"""Frameworks, sizes and accounts, and how they are looked up."""

from __future__ import annotations

import pytest
from samples import LIMITS

from trainyard.domain.limits import Account


@pytest.mark.parametrize(
    ("name", "version"),
    [("tensorflow", "2.16"), ("TensorFlow", "2.16"), ("tensorflow", "2.16-py3"), ("TENSORFLOW", "2.16-PY3")],
)
def test_a_framework_is_found_in_any_case_and_by_its_old_spellings(name, version):
    found = LIMITS.framework(name, version)
    assert (found.name, found.version) == ("tensorflow", "2.16")


def test_a_version_of_another_framework_is_not_taken():
    assert LIMITS.framework("pytorch", "2.16") is None


def test_the_versions_and_names_there_are_can_be_told():
    assert LIMITS.versions_of("Tensorflow") == ["2.16", "1.3-py2"]
    assert LIMITS.versions_of("caffe") == []
    assert LIMITS.framework_names() == ["pytorch", "tensorflow"]


def test_a_user_has_the_accounts_that_name_them():
    assert [account.name for account in LIMITS.accounts_of("grace")] == ["vision", "speech"]
    assert [account.name for account in LIMITS.accounts_of("ada")] == ["vision"]
    assert LIMITS.accounts_of("mallory") == []


def test_an_account_of_everybody_has_every_member():
    assert Account("open", 1, ("*",), 1).has_member("anybody")
