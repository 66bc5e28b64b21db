"""Manifests that name a connection of the service's in the place of a store's address and keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST
from samples import LIMITS, SPEC

from trainyard.domain.limits import Account
from trainyard.domain.plan import make_plan
from trainyard.domain.training import StoreRef, TrainingSpec
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.archive import ArchiveRules
from trainyard.manifest.limits import load_limits
from trainyard.manifest.submission import Rules, check_submission
from trainyard.settings import read_settings
from trainyard.workspace.layout import store_key

_KEYS = """\
    endpoint_url: https://s3.example.com
    aws_access_key_id: AKIAEXAMPLE
    aws_secret_access_key: sEcReT/1
"""
_FFDL_KEYS = FFDL[FFDL.index("    connection:\n") + len("    connection:\n") :].split("framework:")[0]
NAMED = MANIFEST.replace(_KEYS, "    name: team-bucket\n")
FFDL_NAMED = FFDL.replace(_FFDL_KEYS, "      name: team-bucket\n")
_VISION = Account("vision", 4, ("ada",), 24, connections=("team-bucket",))


def _handed_in(manifest: str, account: Account = _VISION):
    rules = Rules(load_limits(), ArchiveRules.of(read_settings({})), 10**6)
    return check_submission([("", manifest.encode())], None, account, rules, lambda read, plan: (read, plan))[0]


def _faults(manifest: str, account: Account = _VISION) -> list[Problem]:
    with pytest.raises(TrainyardError) as caught:
        _handed_in(manifest, account)
    return list(caught.value.problems)


@pytest.mark.parametrize("manifest", [NAMED, FFDL_NAMED], ids=["wml", "ffdl"])
def test_a_store_of_every_family_may_be_a_connection_of_the_services(manifest):
    submission = _handed_in(manifest)[0].submission
    for ref, bucket in ((submission.spec.data, "data"), (submission.spec.results, "model")):
        assert (ref.kind, ref.connection, ref.endpoint) == ("s3", "team-bucket", "")
        assert bucket in ref.bucket
    assert submission.data_credentials is submission.results_credentials is None


def test_the_record_keeps_the_name_and_so_does_the_manifest_that_people_see():
    read, _ = _handed_in(NAMED)
    assert "name: team-bucket" in read.masked
    assert TrainingSpec.from_dict(read.submission.spec.as_dict()) == read.submission.spec


def test_one_store_may_name_a_connection_and_the_other_bring_its_keys():
    submission = _handed_in(MANIFEST.replace(_KEYS, "    name: team-bucket\n", 1))[0].submission
    assert submission.data_credentials is None
    assert submission.results_credentials is not None


@pytest.mark.parametrize("name", ["teem-bucket", "of-another-account", "trainyard_front_door", "kubernetes_default"])
def test_a_connection_that_the_account_may_not_use_is_refused_as_one_that_there_is_not(name):
    (fault,) = _faults(NAMED.replace("team-bucket", name, 1))
    assert (fault.code, fault.path, fault.line) == ("C104", "training_data_reference[0].connection.name", 15)
    assert fault.message == "the account has no connection of this name."
    assert fault.seen == name
    assert fault.hint == "Use team-bucket, or write address and keys of the store."
    assert _handed_in(NAMED)


def test_the_hint_lists_all_that_the_account_may_use_and_no_other():
    both = replace(_VISION, connections=("team-bucket", "archive"))
    (fault,) = _faults(NAMED.replace("team-bucket", "attic", 1), both)
    assert fault.hint == "Use one of team-bucket, archive, or write address and keys of the store."


def test_an_account_without_connections_is_told_to_bring_keys_and_may():
    nobody = replace(_VISION, connections=())
    faults = _faults(NAMED, nobody)
    assert len(faults) == 2
    assert {fault.hint.partition(":")[0] for fault in faults} == {"Write address and keys of the store"}
    assert _handed_in(MANIFEST, nobody)


@pytest.mark.parametrize(
    "key", ["endpoint_url: https://a.example", "password: sEcReT/1", "region: eu", "sekret: sEcReT/1"]
)
def test_nothing_stands_beside_a_name_and_what_does_is_not_shown(key):
    mixed = NAMED.replace("name: team-bucket\n", f"name: team-bucket\n    {key}\n", 1)
    (fault,) = _faults(mixed)
    assert (fault.code, fault.path) == ("C101", f"training_data_reference[0].connection.{key.partition(':')[0]}")
    assert (fault.line, fault.seen) == (16, None)
    assert "Keep name alone" in fault.hint


def test_a_name_beside_all_keys_is_refused_until_either_goes():
    faults = _faults(MANIFEST.replace(_KEYS, _KEYS + "    name: team-bucket\n", 1))
    assert [fault.line for fault in faults] == [15, 16, 17]


def test_a_misspelt_name_is_guessed():
    faults = _faults(NAMED.replace("    name: team", "    nme: team", 1))
    assert "Did you mean name?" in [fault.hint for fault in faults]


@pytest.mark.parametrize("name", ["", "{a: 1}", "[team-bucket]"])
def test_what_is_no_name_is_a_fault(name):
    assert _faults(NAMED.replace("name: team-bucket", f"name: {name}", 1))


def test_a_blank_name_beside_keys_counts_as_not_given():
    found = _handed_in(MANIFEST.replace(_KEYS, _KEYS + "    name: ''\n", 1))[0].submission
    assert found.spec.data.connection is None


@pytest.mark.parametrize("manifest", [NAMED, FFDL_NAMED], ids=["wml", "ffdl"])
def test_swift_stores_cannot_be_named(manifest):
    kind = "type: s3" if "type: s3" in manifest else "type: mount_cos"
    faults = _faults(manifest.replace(kind, "type: softlayer_objectstore", 1))
    assert any("can be named by a connection" in fault.message for fault in faults)


def test_away_from_the_service_any_name_passes():
    assert _handed_in(NAMED, Account("", 2**31, (), 1, connections=None))


def test_a_name_that_was_taken_out_of_the_quotas_is_refused_when_the_run_starts():
    spec = replace(SPEC, data=StoreRef("s3", "digits", "", connection="team-bucket"))
    vision = replace(LIMITS.accounts["vision"], connections=("team-bucket",))
    assert make_plan(spec, vision, LIMITS)
    with pytest.raises(TrainyardError) as caught:
        make_plan(spec, LIMITS.accounts["vision"], LIMITS)
    assert caught.value.code.code == "C104"


def test_buckets_of_the_same_name_behind_two_connections_are_two_datasets():
    plain = StoreRef("s3", "digits", "https://objects.example.com")
    keys = {store_key(each) for each in (plain, replace(plain, connection="a"), replace(plain, connection="b"))}
    assert len(keys) == 3


_TRACKING = "\ntracking: {mlflow: team-mlflow}\n"
_TRACKED = {"wml": MANIFEST + _TRACKING, "ffdl": FFDL + _TRACKING}
_TRACKER = Account("vision", 4, ("ada",), 24, connections=("team-mlflow",))


class TestTracking:
    @pytest.mark.parametrize("family", _TRACKED)
    def test_a_manifest_of_every_family_may_name_an_mlflow_server(self, family):
        read, _ = _handed_in(_TRACKED[family], _TRACKER)
        assert read.submission.spec.mlflow == "team-mlflow"
        assert TrainingSpec.from_dict(read.submission.spec.as_dict()) == read.submission.spec

    @pytest.mark.parametrize("manifest", [MANIFEST, f"{MANIFEST}\ntracking:\n", f"{MANIFEST}\ntracking: {{}}\n"])
    def test_one_that_names_none_is_left_to_the_account(self, manifest):
        assert _handed_in(manifest)[0].submission.spec.mlflow is None

    @pytest.mark.parametrize("value", ["none", "{mlflow: none}"])
    @pytest.mark.parametrize("family", ["wml", "ffdl"])
    def test_one_that_wants_none_is_reported_to_nobody_whatever_the_account_says(self, family, value):
        account = Account("vision", 4, ("ada",), 24, connections=("team-bucket",), mlflow="team-mlflow")
        text = {"wml": MANIFEST, "ffdl": FFDL}[family] + f"\ntracking: {value}\n"
        spec = _handed_in(text, account)[0].submission.spec
        assert spec.mlflow == ""
        assert TrainingSpec.from_dict(spec.as_dict()).mlflow == ""

    def test_what_the_account_is_tracked_by_may_be_named_by_its_manifests(self):
        assert _handed_in(_TRACKED["wml"], Account("vision", 4, ("ada",), 24, mlflow="team-mlflow"))

    @pytest.mark.parametrize("family", _TRACKED)
    def test_one_that_the_account_may_not_use_is_refused_as_a_stores_is(self, family):
        (fault,) = _faults(_TRACKED[family])
        assert (fault.code, fault.path, fault.seen) == ("C104", "tracking.mlflow", "team-mlflow")
        assert fault.line == _TRACKED[family].count("\n")
        assert fault.message == "the account has no connection of this name."
        assert fault.hint == "Use team-bucket, or leave tracking out."

    def test_an_account_without_any_is_told_so(self):
        (fault,) = _faults(_TRACKED["wml"], replace(_TRACKER, connections=()))
        assert fault.hint == "Leave tracking out: quotas.yaml lets the account's manifests name no connection."

    def test_a_server_that_tracks_is_no_store_for_that(self):
        assert _faults(
            NAMED.replace("team-bucket", "team-mlflow"), Account("vision", 4, ("ada",), 24, mlflow="team-mlflow")
        )

    @pytest.mark.parametrize(
        "value",
        [
            "{mlflow: training-Xz81mQ0aB.data}",
            "{mlflow: 'https://a:sEcReT@b'}",
            "{mlflow: 7}",
            "{wandb: a}",
            "mlflow",
            "[a]",
        ],
    )
    def test_what_names_no_server_is_refused_with_its_line_and_a_hint(self, value):
        (fault,) = _faults(f"{MANIFEST}\ntracking: {value}\n", _TRACKER)
        assert fault.code == "C101"
        assert fault.line == MANIFEST.count("\n") + 2
        assert fault.hint
        assert "sEcReT" not in f"{fault}{fault.seen}"

    def test_a_name_that_was_taken_out_of_the_quotas_is_refused_when_the_run_starts(self):
        with pytest.raises(TrainyardError) as caught:
            make_plan(replace(SPEC, mlflow="team-mlflow"), LIMITS.accounts["vision"], LIMITS)
        assert [problem.path for problem in caught.value.problems] == ["tracking.mlflow"]

    def test_away_from_the_service_any_name_passes(self):
        assert _handed_in(_TRACKED["wml"], Account("", 2**31, (), 1, connections=None))


class TestQuotas:
    def _account(self, tmp_path, more: str):
        file = tmp_path / "quotas.yaml"
        file.write_text(f"accounts:\n- {{name: vision, gpus: 1, members: [ada], max_hours: 1{more}}}\n")
        return load_limits(quotas=file).accounts["vision"]

    def _read(self, tmp_path, connections: str):
        return self._account(tmp_path, connections).connections

    def test_an_account_may_be_tracked_and_is_not_by_default(self, tmp_path):
        assert self._account(tmp_path, ", tracking: {mlflow: team-mlflow}").mlflow == "team-mlflow"
        for nothing in ("", ", tracking: {}", ", tracking: ", ", tracking: {mlflow: ''}", ", tracking: {mlflow: }"):
            assert self._account(tmp_path, nothing).mlflow is None

    @pytest.mark.parametrize("tracking", ["{mlflow: training-Xz81mQ0aB.data}", "{wandb: a}", "team-mlflow"])
    def test_what_can_track_nothing_is_refused(self, tmp_path, tracking):
        with pytest.raises(TrainyardError, match="tracking"):
            self._account(tmp_path, f", tracking: {tracking}")

    def test_an_account_may_use_what_is_listed_and_nothing_by_default(self, tmp_path):
        assert self._read(tmp_path, ", connections: [team-bucket, my_s3.eu]") == ("team-bucket", "my_s3.eu")
        assert self._read(tmp_path, "") == ()

    @pytest.mark.parametrize("name", ["training-Xz81mQ0aB.data", "'*'", "a b", "''"])
    def test_what_is_no_id_or_a_trainings_own_is_refused(self, tmp_path, name):
        with pytest.raises(TrainyardError, match=r"does not begin with training-|manifests may name"):
            self._read(tmp_path, f", connections: [{name}]")
