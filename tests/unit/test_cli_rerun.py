"""`trainyard rerun`."""

from __future__ import annotations

import pytest

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"


def test_the_new_id_is_printed(cli, front_door):
    front_door.add(ID)
    done = cli("rerun", ID)
    assert (done.code, done.out) == (0, f"Running '{ID}' again ...\nOK\nModel-ID is 'training-DOl4q2LkZ'\n")
    assert front_door.bodies == [{}]


def test_what_is_changed_goes_with_it(cli, front_door):
    front_door.add(ID)
    cli(
        "rerun", ID, "--set", "lr=0.02", "--set", 'note="a,b"', "--size", "medium", "--exact", "--resume", "--name", "b"
    )
    given = {"set": {"lr": "0.02", "note": "a,b"}, "size": "medium", "exact": True, "resume": True, "name": "b"}
    assert front_door.bodies == [given]


def test_a_grid_is_no_run(cli, front_door):
    front_door.add(ID)
    assert cli("rerun", ID, "--set", "lr=0.1,0.2").code == 2
    assert front_door.bodies == []


def test_it_is_followed_to_its_end(cli, front_door):
    front_door.add(ID)
    front_door.logs["training-DOl4q2LkZ"] = [b"epoch 1\n"]
    done = cli("rerun", ID, "--follow")
    assert done.out.endswith("epoch 1\nOK\nRun 'training-DOl4q2LkZ' is completed\n")


def test_in_json_the_run_that_it_repeats_is_named(cli, front_door):
    front_door.add(ID)
    assert cli("rerun", ID, "-o", "json").data["parent"] == ID
    shown = cli("show", "training-DOl4q2LkZ").out
    assert ["Repeats", ID] in [line.split() for line in shown.splitlines()]


@pytest.mark.parametrize("words", [("--set", "lr"), ("--set", "lr=")])
def test_what_cannot_be_read_is_told(cli, front_door, words):
    front_door.add(ID)
    assert cli("rerun", ID, *words).code != 0
    assert front_door.bodies == []
