"""A command as the audit log shows it: what may be a secret in it is not there."""

from __future__ import annotations

import pytest

from trainyard.core.executing import masked_command


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["nvidia-smi", "-L"], "nvidia-smi -L"),
        (["cat", "my file"], "cat 'my file'"),
        (["wandb", "login", "--key", "k-123"], "wandb login --key ****"),
        (["x", "--api-token=t-123", "-v"], "x --api-token=**** -v"),
        (["env", "WANDB_API_KEY=k-123", "python", "a.py"], "env WANDB_API_KEY=**** python a.py"),
        (["sh", "-c", "PASSWORD=p; echo ok"], "sh -c 'PASSWORD=**** echo ok'"),
        (["curl", "-H", "Authorization: Bearer b-123"], "curl -H 'Authorization: Bearer ****'"),
        (["curl", "-H", "Authorization: Basic b-123"], "curl -H 'Authorization: Basic ****'"),
        (["git", "clone", "https://me:pw@host/x"], "git clone https://****@host/x"),
        (["echo", "the-value-itself"], "echo ****"),
        (["python", "-c", "print(the-value-itself)"], "python -c 'print(****)'"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(command, shown):
    assert masked_command(command, ["the-value-itself", ""]) == shown


def test_a_long_value_is_hidden_where_a_short_one_is_a_part_of_it():
    assert masked_command(["echo", "abcdef"], ["abc", "abcdef"]) == "echo ****"
