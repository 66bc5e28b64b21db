"""What a manifest means is understood, or told with a hint that is accepted once it is followed."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST, change, limits, only_problem, problems, read, refusal
from readmanifest import located

from trainyard.domain.limits import Account
from trainyard.domain.plan import DEFAULT_CPU_MILLIS, DEFAULT_MEMORY, make_plan
from trainyard.errors import TrainyardError
from trainyard.manifest.archive import ArchiveRules
from trainyard.manifest.submission import Rules, check_submission

FRAMEWORK = "    name: tensorflow\n    version: 1.2-py3\n"
EXECUTION = "model_definition.execution"
SIZE = "    resource: small"
CONNECTION = "training_data_reference[0].connection"
ANYTHING = Account("", 2**31, (), 1, custom_images=True)


def with_framework(name: str, version: str, more: str = "") -> str:
    return change(MANIFEST, FRAMEWORK, f"    name: {name}\n    version: '{version}'\n{more}")


def runtimes(version: str) -> str:
    return f"    runtimes: {{name: python, version: '{version}'}}\n"


def warnings(text: str) -> list[str]:
    return list(read(text).submission.warnings)


class TestFrameworks:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("tensorfow", "tensorflow"),
            ("Py-Torch", "pytorch"),
            ("sci-kit learn", "scikit-learn"),
            ("kears", "keras"),
            ("xgbost", "xgboost"),
        ],
    )
    def test_a_misspelt_framework_is_answered_with_the_one_that_was_meant(self, name, meant):
        found = problems(with_framework(name, "99"))
        assert found["model_definition.framework.name"].hint.startswith(f"Did you mean {meant}? Use one of ")
        assert found["model_definition.framework.version"].message == f"{meant} has no version 99."

    @pytest.mark.parametrize(
        ("name", "version", "meant"),
        [
            ("tensorflow", "v1.5", "1.5-py3"),
            ("tensorflow", "1.2-py4", "1.2-py"),
            ("tensorflow", "1.5.0-py3.6", "1.5-py3?"),
            ("pytorch", "v1.0.0", "1.0?"),
            ("pytorch", "2.8.9+cu12", "2.8"),
            ("torch", "2.8", "pytorch 2.8"),
        ],
    )
    def test_an_unknown_version_is_answered_with_the_one_that_was_meant(self, name, version, meant):
        assert only_problem(with_framework(name, version)).hint.startswith(f"Did you mean {meant}")

    @pytest.mark.parametrize(
        ("name", "version", "python"),
        [
            ("pytorch", "0.4", "2.7"),
            ("tensorflow", "1.5-py3", "2.7"),
            ("scikit-learn", "0.17", "3.5"),
            ("tensorflow", "2.18", "2"),
            ("caffe", "1.0-py2", "3.6"),
            ("tensorflow", "1.5", "4.0"),
        ],
    )
    def test_a_python_that_the_image_does_not_have_is_refused(self, name, version, python):
        problem = only_problem(with_framework(name, version, runtimes(python)))
        assert problem.path == "model_definition.framework.runtimes.version"
        assert "Remove runtimes" in problem.hint
        assert read(with_framework(name, version))

    def test_the_version_with_the_other_python_is_named(self):
        problem = only_problem(with_framework("tensorflow", "1.5-py3", runtimes("2.7")))
        assert '"1.5-py2"' in problem.hint
        assert read(with_framework("tensorflow", "1.5-py2", runtimes("2.7")))

    @pytest.mark.parametrize(
        ("name", "version", "python"),
        [("tensorflow", "1.5", "2.7"), ("pytorch", "0.4", "3"), ("torch", "luajit", "3.5")],
    )
    def test_a_python_that_is_there_is_read(self, name, version, python):
        assert warnings(with_framework(name, version, runtimes(python))) == []

    @pytest.mark.parametrize(
        ("version", "warned"), [("1.8.4", True), ("1.8.0", False), ("1.8", False), ("2.16.0", True), ("2.16.1", False)]
    )
    def test_a_patch_level_that_the_image_does_not_have_is_warned_of(self, version, warned):
        assert [
            warning for warning in warnings(with_framework("tensorflow", version)) if version in warning
        ] != [] or not warned
        assert bool(warnings(with_framework("tensorflow", version))) == warned

    def test_an_alias_for_another_patch_level_is_warned_of_too(self):
        (warning,) = warnings(change(FFDL, "1.5.0-gpu-py3", "1.5.1-gpu-py3"))
        assert warning == "line 21: version 1.5.1 runs on 1.5.0, the image of 1.5-py3"

    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("pytorch", "1.1"),
            ("tensorflow", "1.12-horovod"),
            ("tensorflow", "1.5-ddl"),
            ("scikit-learn", "0.20"),
            ("xgboost", "0.90"),
            ("keras", "2.2.4"),
            ("mxnet", "1.1"),
            ("pytorch-onnx", "1.2"),
            ("tensorflow-ddl", "1.12"),
            ("chainer", "5.0"),
        ],
    )
    def test_frameworks_of_2018_are_known(self, name, version):
        assert read(with_framework(name, version)).submission.spec.framework.name == name

    @pytest.mark.parametrize(
        ("gpus", "version", "other"),
        [(2, "1.5.0-py3", "1.5-py3"), (0, "1.3-py3", "1.3-py3-cpu"), (0, "1.8.0-gpu", "1.8-py2-cpu")],
    )
    def test_a_build_that_does_not_fit_the_gpus_is_warned_of_with_the_one_that_does(self, gpus, version, other):
        text = change(change(FFDL, "gpus: 1", f"gpus: {gpus}"), '"1.5.0-gpu-py3"', f'"{version}"')
        (warning,) = warnings(text)
        assert f'write version: "{other}"' in warning
        assert warnings(change(text, version, other)) == []

    def test_a_gpu_type_without_gpus_is_warned_of(self):
        text = change(change(FFDL, "gpus: 1", "gpus: 0\ngpu_type: nvidia-TeslaK80"), "-gpu-py3", "-py3")
        assert any("gpu_type has no effect" in warning for warning in warnings(text))

    @pytest.mark.parametrize(
        ("name", "version"), [("tensorflow-horovod", "1.5"), ("tensorflow", "1.5-horovod"), ("pytorchmpi", "0925mpi")]
    )
    def test_mpirun_in_the_command_of_a_framework_that_has_it_is_warned_of_on_several_learners(self, name, version):
        text = change(with_framework(name, version), SIZE, "    resource: medium\n    nodes: 2")
        assert warnings(text) == []
        own = change(text, "python3 conv", "mpirun -np 2 python3 conv")
        (warning,) = warnings(own)
        assert "on each of 2 learners" in warning
        assert warnings(change(own, "    nodes: 2", "    nodes: 1")) == []

    @pytest.mark.parametrize(
        ("name", "version", "instead"),
        [
            ("tensorflow-ddl", "1.5", 'tensorflow-horovod "1.5-py3"'),
            ("tensorflow", "1.13-ddl", 'tensorflow "1.13-py3-horovod"'),
        ],
    )
    def test_ddl_is_refused_with_the_way_to_horovod_and_torchrun(self, name, version, instead):
        found = read(with_framework(name, version))
        with pytest.raises(TrainyardError) as caught:
            make_plan(found.submission.spec, ANYTHING, limits())
        (problem,) = located(found, caught.value.problems)
        assert problem.line
        assert "DDL is not to be had" in problem.message
        assert instead in problem.hint
        assert "torchrun" in problem.hint

    def test_ffdls_image_location_becomes_the_version(self):
        location = (
            "  image_location: {registry: registry.example.com, namespace: ns, access_token: sEcReT, email: a@b.c}\n"
        )
        text = change(
            FFDL, 'name: tensorflow\n  version: "1.5.0-gpu-py3"\n', f'name: custom\n  version: "mine:1"\n{location}'
        )
        problem = only_problem(text)
        assert "write version: registry.example.com/ns/mine:1" in problem.hint
        assert "sEcReT" not in str(refusal(text).as_dict())
        followed = text.replace(location, "").replace('"mine:1"', "registry.example.com/ns/mine:1")
        assert read(followed).submission.spec.framework.version == "registry.example.com/ns/mine:1"


class TestStrangers:
    @pytest.mark.parametrize("name", ["catboost", "cntk", "julia", "spark"])
    def test_a_framework_that_there_is_not_is_no_misspelt_one(self, name):
        assert only_problem(with_framework(name, "1.0")).hint.startswith("Use one of ")

    @pytest.mark.parametrize("key", ["services", "recipe", "do_train", "resources"])
    def test_a_key_that_only_shares_letters_with_one_is_no_misspelt_one(self, key):
        assert only_problem(f"{MANIFEST}{key}: 1\n").hint.startswith("Known here: ")


class TestMachines:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("smal", "small"),
            ("k80 x2", "k80x2"),
            ("K80-x4", "k80x4"),
            ("p100x4", None),
            ("Medum", "medium"),
            ("mitel", "medium"),
            ("2xk80", "k80x2"),
            ("4 x k80", "k80x4"),
        ],
    )
    def test_a_misspelt_size_is_answered_with_one_that_has_as_many_gpus(self, text, meant):
        hint = only_problem(change(MANIFEST, SIZE, f"    resource: {text}")).hint
        assert hint.startswith(f"Did you mean {meant}? " if meant else "Use one of ")

    @pytest.mark.parametrize(
        "asked",
        [
            "    compute_configuration: {name: p100x2, nodes: 4}",
            "    resource: p100x2\n    nodes: 4",
            "    size: p100x2\n    nodes: 4",
        ],
    )
    def test_several_nodes_are_as_many_learners_of_the_size(self, asked):
        resources = read(change(MANIFEST, SIZE, asked)).submission.spec.resources
        assert (resources.size, resources.nodes) == ("p100x2", 4)

    @pytest.mark.parametrize(
        ("learners", "gpus", "memory"),
        [("{count: 4, gpus: 8, memory: 2GiB}", 8, 2 * 2**30), ("{count: 4}", None, None)],
    )
    def test_learners_say_how_many_and_what_each_has(self, learners, gpus, memory):
        resources = read(change(MANIFEST, SIZE, f"    learners: {learners}")).submission.spec.resources
        assert (resources.nodes, resources.size, resources.gpus, resources.memory) == (4, None, gpus, memory)

    @pytest.mark.parametrize("learners", ["learners: 3", "learners: {count: 3}"])
    def test_ffdls_amounts_are_those_of_each_learner(self, learners):
        resources = read(change(FFDL, "learners: 1", learners)).submission.spec.resources
        assert (resources.nodes, resources.gpus, resources.memory) == (3, 1, 2**30)
        inside = change(change(FFDL, "learners: 1", "learners: {count: 3, gpus: 2}"), "gpus: 1\n", "")
        assert read(inside).submission.spec.resources == replace(resources, gpus=2)

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            (change(MANIFEST, SIZE, "    learners: {count: 2}\n    nodes: 2"), f"{EXECUTION}.nodes"),
            (
                change(MANIFEST, SIZE, "    compute_configuration: {name: k80, nodes: 2}\n    nodes: 2"),
                f"{EXECUTION}.nodes",
            ),
            (change(MANIFEST, SIZE, f"{SIZE}\n    learners: {{count: 2}}"), f"{EXECUTION}.learners"),
            (change(FFDL, "learners: 1", "learners: {count: 2, gpus: 2}"), "learners.gpus"),
        ],
    )
    def test_what_is_said_twice_is_refused(self, text, path):
        problem = only_problem(text)
        assert problem.path == path
        assert problem.hint == "Keep one of them."

    @pytest.mark.parametrize(
        ("learners", "words"),
        [
            ("{count: 0}", "at least one learner"),
            ("{count: 65}", "at most 64 learners"),
            ("{gpus: 2}", "count is missing"),
            ("{count: two}", "not a whole number"),
            ("{count: 2, gpus: -1}", "gpus is negative"),
            ("{count: 2, number: 1}", "no key number"),
            ("2", "not a map"),
        ],
    )
    def test_learners_that_make_no_run_are_refused(self, learners, words):
        problem = only_problem(change(MANIFEST, SIZE, f"    learners: {learners}"))
        assert words in problem.message

    def test_amounts_that_are_left_out_are_those_of_the_documentation(self):
        text = change(change(change(FFDL, "cpus: 0.5\n", ""), "memory: 1GiB\n", ""), "gpus: 1\n", "").replace(
            "-gpu-py3", "-py3"
        )
        plan = make_plan(read(text).submission.spec, ANYTHING, limits())
        assert (
            (plan.gpus, plan.cpu_millis, plan.memory)
            == (0, DEFAULT_CPU_MILLIS, DEFAULT_MEMORY)
            == (0, 1000, 4 * 1024**3)
        )


class TestStores:
    @pytest.mark.parametrize(
        ("endpoint", "key", "secret"),
        [
            ("s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key"),
            ("cos_url", "my_key_id", "hmac_secret_key"),
            ("@ENDPOINT@", "%KEY%", "__SECRET__"),
            ("$(ENDPOINT)", "AWS_KEY", "my_password"),
        ],
    )
    def test_words_of_a_template_are_no_values(self, endpoint, key, secret):
        text = MANIFEST.replace("https://s3.example.com", f"'{endpoint}'", 1)
        text = text.replace("AKIAEXAMPLE", f"'{key}'", 1).replace("sEcReT/1", f"'{secret}'", 1)
        reported = [problem.message.partition(" ")[2] for problem in refusal(text).problems]
        assert reported == ["is not filled in."] * 3

    @pytest.mark.parametrize(
        "address",
        [
            "https://<host>",
            "https://s3.{region}.example.com",
            "{{ url }}/x",
            "https://$HOST",
            "s3-endpoint-url",
            "%URL%:9",
        ],
    )
    def test_a_template_inside_an_address_is_told(self, address):
        text = MANIFEST.replace("https://s3.example.com", f"'{address}'", 1)
        assert problems(text)[f"{CONNECTION}.endpoint_url"].message == "endpoint_url is not filled in."

    def test_characters_that_look_like_others_are_named(self):
        cyrillic = "\N{CYRILLIC SMALL LETTER IE}"
        text = MANIFEST.replace("s3.example.com", f"s3.exampl{cyrillic}.com", 1).replace("mnist-data", "“mnist”", 1)
        text = text.replace("AKIAEXAMPLE", "\N{FULLWIDTH LATIN CAPITAL LETTER A}KIAEXAMPLE", 1)
        found = problems(text)
        assert "CYRILLIC SMALL LETTER IE (U+0435)" in found[f"{CONNECTION}.endpoint_url"].message
        assert "LEFT DOUBLE QUOTATION MARK (U+201C)" in found["training_data_reference[0].source.bucket"].message
        key_id = found[f"{CONNECTION}.aws_access_key_id"]
        assert "FULLWIDTH LATIN CAPITAL LETTER A (U+FF21)" in key_id.message
        assert key_id.seen == "****"

    @pytest.mark.parametrize(
        "host", ["my_store.example.com", "a..b", "-a.example.com", "a-.example.com", "a" * 64 + ".com", "_"]
    )
    def test_a_host_that_no_s3_client_takes_is_refused(self, host):
        problem = problems(MANIFEST.replace("s3.example.com", host, 1))[f"{CONNECTION}.endpoint_url"]
        assert "host" in problem.message or "address" in problem.message

    @pytest.mark.parametrize(
        "host", ["localhost:9000", "10.0.0.1", "[::1]:9000", "s3.example.com.", "minio", "a--b.example"]
    )
    def test_other_hosts_are_taken(self, host):
        assert read(MANIFEST.replace("s3.example.com", host, 1))

    @pytest.mark.parametrize("bucket", ["a..b", "-ab", "ab-", ".ab", "ab.", "192.168.1.1", "y" * 256])
    def test_a_bucket_that_no_store_takes_is_refused(self, bucket):
        problem = problems(change(MANIFEST, "mnist-data", f"'{bucket}'"))["training_data_reference[0].source.bucket"]
        assert "not the name of" in problem.message

    @pytest.mark.parametrize("bucket", ["My-Data", "my_data", "ab", "y" * 64, "a.b"])
    def test_a_bucket_that_stores_of_today_do_not_make_is_warned_of(self, bucket):
        (warning,) = warnings(change(MANIFEST, "mnist-data", bucket))
        assert warning.startswith("line 19: S3 stores of today make no bucket of this name")

    def test_the_keys_of_the_german_text_are_read(self):
        text = change(MANIFEST, "    name: Ada Lovelace\n    email:", "    Name: Ada Lovelace\n    E-Mail:")
        assert read(text).submission.spec.author == read(MANIFEST).submission.spec.author

    def test_both_spellings_of_an_authors_key_are_one_too_many(self):
        assert "mean the same" in only_problem(change(MANIFEST, "    email:", "    Name: Ada\n    email:")).message


class TestNeighbours:
    @pytest.mark.parametrize("key", ["hyper_parameters_optimization", "hyper_parameters"])
    @pytest.mark.parametrize("sample", [MANIFEST, FFDL])
    def test_a_search_is_told_with_what_does_the_same(self, sample, key):
        at = "    resource: small" if sample is MANIFEST else "  name: tensorflow"
        indent = at[: len(at) - len(at.lstrip())]
        problem = only_problem(change(sample, at, f"{indent}{key}: {{method: {{name: random}}}}\n{at}"))
        assert "a search stands beside" in problem.message
        assert "write search with metric, goal, trials and space" in problem.hint

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"metadata": {"guid": "x"}, "entity": {"model_definition": {}}}, "an answer of the service"),
            ({"entity": {}, "status": {}}, "an answer of the service"),
            ({"resources": [], "total_count": 3}, "a list that the service answered with"),
            ({"name": "x", "training_data_references": [], "results_reference": {}}, "v4"),
            ({"model_definition": {"software_spec": {}, "command": "x"}}, "v4"),
            ({"version": "3", "services": {}}, "a Compose file"),
            ({"name": "x", "channels": [], "dependencies": []}, "an environment of conda"),
            ({"on": "push", "jobs": {}}, "a workflow of GitHub"),
            ({"TrainingJobName": "x", "AlgorithmSpecification": {}}, "SageMaker"),
            ({"image": "x", "stages": ["train"], "train": {"script": ["x"]}}, "GitLab"),
            ({"stages": {"train": {"cmd": "x"}}}, "DVC"),
            ({"cells": [], "metadata": {}, "nbformat": 4}, "a notebook"),
            ({"type": "command", "command": "x", "environment": "y", "compute": "z"}, "Azure"),
            ({"entrypoint": "x", "runtime_env": {}}, "Ray"),
            ({"replicaCount": 1, "image": {}}, "this is no manifest"),
        ],
    )
    def test_another_format_is_told_in_one_sentence_with_what_to_write(self, data, words):
        problem = only_problem(json.dumps(data))
        assert words in problem.message
        assert "model_definition" in problem.hint or "entity" in problem.hint

    @pytest.mark.parametrize(
        ("place", "kind", "warned"),
        [
            ("$JOB_STATE_DIR/tb", "tensorboard", 1),
            ("$JOB_STATE_DIR/logs/tb/test", "tensorboard", 0),
            ("${LOG_DIR}/x.txt", "emetrics_file", 0),
            ("${LOG_DIR}/x.txt", "optivist", 1),
            ("/tmp/x", "regex_extractor", 2),
            ("$JOB_STATE_DIR/logs/training-log.txt", "regex_extractor", 1),
            ("$RESULT_DIR/tb", "tensorboard", 0),
        ],
    )
    def test_metrics_that_are_not_stored_or_read_are_warned_of(self, place, kind, warned):
        found = warnings(f"{FFDL}evaluation_metrics:\n  type: {kind}\n  in: {place}\n")
        assert len(found) == warned, found


class TestOneRound:
    def test_one_answer_has_the_faults_of_framework_version_size_quota_and_program(self, tmp_path):
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("other.py", "")
        text = change(change(with_framework("tensorfow", "9.9"), SIZE, "    resource: smal"), "mnist-data", "a..b")
        rules = Rules(limits(), ArchiveRules(), 2**20)
        account = Account("one", 1, ("*",), 1)

        def reported(text):
            with pytest.raises(TrainyardError) as caught:
                check_submission([("a.yml", text.encode())], path, account, rules, lambda *_: None)
            return [problem.message for problem in caught.value.problems]

        assert reported(text) == [
            "there is no framework tensorfow.",
            "tensorflow has no version 9.9.",
            "there is no size smal.",
            "this is not the name of an S3 bucket.",
            "the command runs convolutional_network.py, which is not in the zip.",
        ]
        assert reported(change(with_framework("tensorfow", "1.5"), SIZE, "    resource: large"))[1:] == [
            "4 GPUs are asked for and account one owns 1.",
            "the command runs convolutional_network.py, which is not in the zip.",
        ]
        assert reported(change(with_framework("custom", "me/mine:1"), "mnist-data", "a..b"))[:2] == [
            "this is not the name of an S3 bucket.",
            "account one may not bring its own image.",
        ]
