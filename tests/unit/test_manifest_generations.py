"""All generations and families of manifests say the same in one spec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from manifest_samples import FFDL, MANIFEST, SWIFT, change, limits, only_problem, problems, read
from readmanifest import located

from trainyard.domain.plan import make_plan
from trainyard.domain.training import Author, Credentials, Framework, Resources, StoreRef
from trainyard.errors import TrainyardError
from trainyard.manifest.document import read_document


def spec(text: str):
    return read(text).submission.spec


def test_every_field_of_a_manifest_comes_into_the_spec():
    submission = read(MANIFEST).submission
    found = submission.spec
    assert found.name == "tf-mnist"
    assert found.description == "Digits."
    assert found.author == Author("Ada Lovelace", "ada@example.com")
    assert found.framework == Framework("tensorflow", "1.2-py3")
    assert found.command == "python3 convolutional_network.py --data ${DATA_DIR}"
    assert found.resources == Resources(size="small")
    assert found.data == StoreRef("s3", "mnist-data", "https://s3.example.com")
    assert found.results == StoreRef("s3", "mnist-models", "https://s3.example.com")
    assert found.family == "wml"
    assert submission.data_credentials == Credentials("AKIAEXAMPLE", "sEcReT/1")
    assert submission.results_credentials == Credentials("AKIAEXAMPLE", "sEcReT/1")
    assert submission.warnings == ()


def test_the_manifest_as_json_is_the_same():
    data = read_document(MANIFEST.encode(), 2**20).data
    for text in (json.dumps(data), json.dumps(data, indent="\t")):
        assert read(text).submission == read(MANIFEST).submission


OLDEST = {
    "training_data_reference": "training_data",
    "training_results_reference": "training_results",
    "endpoint_url": "auth_url",
    "aws_access_key_id": "userId",
    "aws_secret_access_key": "password",
    "bucket": "container",
    "type: s3": "type: s3_datastore",
    "resource:": "resourceType:",
    "  author:\n    name: Ada Lovelace\n    email: ada@example.com": "  author: Ada Lovelace <ada@example.com>",
}
NEWER = {
    "- connection:\n    endpoint_url": "  connection:\n    endpoint_url",
    "aws_": "",
    "    bucket: mnist-data\n    type: s3": "    bucket: mnist-data\n  type: s3",
    "    bucket: mnist-models\n    type: s3": "    bucket: mnist-models\n  type: s3",
    "    resource: small": "    compute_configuration:\n      name: small",
    "version: 1.2-py3": 'version: "1.2"\n    runtimes: {name: python, version: 3.5}',
}


@pytest.mark.parametrize("changes", [OLDEST, NEWER], ids=["2017-10", "2018"])
def test_other_generations_say_the_same(changes):
    text = MANIFEST
    for old, new in changes.items():
        text = change(text, old, new)
    assert read(text).submission == read(MANIFEST).submission


@pytest.mark.parametrize(
    ("author", "read_as"),
    [
        ("  author: Ada Lovelace <ada@example.com>", Author("Ada Lovelace", "ada@example.com")),
        ("  author: ada@example.com", Author("", "ada@example.com")),
        ("  author: Ada", Author("Ada", "")),
        ("  author:\n    name: Ada", Author("Ada", "")),
        ('  author:\n    name: Ada\n    email: ""', Author("Ada", "")),
        ("  author: {}", None),
        ("  author:", None),
        ("  author:\n    email:", None),
    ],
)
def test_the_author_is_optional_in_every_part(author, read_as):
    text = change(MANIFEST, "  author:\n    name: Ada Lovelace\n    email: ada@example.com", author)
    assert spec(text).author == read_as


@pytest.mark.parametrize("runtimes", ["{name: python, version: 2.7}", '[{name: python, version: "2.7"}]'])
def test_runtimes_choose_the_python_of_a_version(runtimes):
    text = change(MANIFEST, "version: 1.2-py3", f'version: "1.5"\n    runtimes: {runtimes}')
    assert spec(text).framework == Framework("tensorflow", "1.5-py2")


@pytest.mark.parametrize(
    ("version", "meant"),
    [
        ("1.2-py2", "1.2-py2"),
        ("1.5", "1.5-py3"),
        ("1.5-py3-horovod", "1.5-py3-horovod"),
        ("1.8.0", "1.8-py3"),
        ("2.18", "2.18"),
        ("2.18.0", "2.18"),
        ("latest", "2.20"),
    ],
)
def test_a_version_is_found_by_the_spellings_of_its_time(version, meant):
    assert spec(change(MANIFEST, "version: 1.2-py3", f'version: "{version}"')).framework.version == meant


@pytest.mark.parametrize(
    ("version", "meant"),
    [
        ("1.5.0", "1.5-py2-cpu"),
        ("1.5.0-py3", "1.5-py3-cpu"),
        ("1.5.0-gpu", "1.5-py2"),
        ("1.5.0-gpu-py3", "1.5-py3"),
        ("latest-gpu-py3", "2.20"),
    ],
)
def test_a_version_of_ffdl_is_the_tag_of_its_image(version, meant):
    assert spec(change(FFDL, "1.5.0-gpu-py3", version)).framework.version == meant


@pytest.mark.parametrize(
    ("name", "version", "meant"),
    [
        ("scikit-learn", "1.9", "scikit-learn 1.9"),
        ("sklearn", "0.17", "scikit-learn 0.17"),
        ("TensorFlow", "2.18", "tensorflow 2.18"),
        ("pytorch", "2.8.0", "pytorch 2.8"),
        ("caffe", "1.0-py2", "caffe 1.0-py2"),
        ("torch", "lua52", "torch lua52"),
        ("mxnet", "0.10", "mxnet 0.10"),
        ("theano", "0.10", "theano 0.10"),
        ("caffe2", "0.8", "caffe2 0.8"),
        ("jax", "0.6", "jax 0.6"),
        ("xgboost", "3.0", "xgboost 3.0"),
        ("custom", "me/my-image:1.0", "custom me/my-image:1.0"),
    ],
)
def test_frameworks_of_2017_and_of_today_are_known(name, version, meant):
    text = change(MANIFEST, "name: tensorflow\n    version: 1.2-py3", f'name: {name}\n    version: "{version}"')
    assert str(spec(text).framework) == meant
    assert make_plan(spec(text), limits().accounts["default"], limits()).image


@pytest.mark.parametrize(("written", "meant"), [("Large", "large"), ("k80x4", "k80x4"), ("Groß", "large")])
def test_a_size_is_found_in_any_case_and_by_its_other_names(written, meant):
    assert spec(change(MANIFEST, "resource: small", f"resource: {written}")).resources.size == meant


def test_a_credential_that_yaml_takes_for_a_number_keeps_its_text():
    text = change(MANIFEST, "sEcReT/1", "0123456789012345678901")
    assert read(text).submission.data_credentials.secret == "0123456789012345678901"
    assert read(change(MANIFEST, "sEcReT/1", "1.10")).submission.data_credentials.secret == "1.10"
    assert read(change(MANIFEST, "AKIAEXAMPLE", "true")).submission.data_credentials.user == "true"


def test_blanks_around_a_secret_may_belong_to_it_and_others_not():
    text = change(MANIFEST, "aws_secret_access_key: sEcReT/1", 'aws_secret_access_key: " sEcReT/1 "')
    text = change(text, "bucket: mnist-data", 'bucket: " mnist-data "')
    assert read(text).submission.data_credentials.secret == " sEcReT/1 "
    assert spec(text).data.bucket == "mnist-data"


def test_connections_may_be_shared_by_an_anchor():
    connection = MANIFEST[MANIFEST.index("    endpoint_url") : MANIFEST.index("  source:")]
    text = change(MANIFEST, f"- connection:\n{connection}", f"- connection: &store\n{connection}")
    text = change(text, f"  connection:\n{connection}  target", "  connection: *store\n  target")
    assert read(text).submission == read(MANIFEST).submission


def test_a_folded_command_is_one_line():
    text = change(MANIFEST, "command: python3", "command: >\n      pip install x &&\n      python3")
    assert spec(text).command == "pip install x && python3 convolutional_network.py --data ${DATA_DIR}"


def test_every_field_of_an_ffdl_manifest_comes_into_the_spec():
    text = (
        FFDL + 'gpu_type: nvidia-TeslaV100\nevaluation_metrics:\n  type: tensorboard\n  in: "$JOB_STATE_DIR/logs/tb"\n'
    )
    submission = read(text).submission
    found = submission.spec
    assert found.family == "ffdl"
    assert (found.name, found.description) == ("tf_convolutional_network", "Digits.")
    assert found.resources == Resources(gpus=1, cpu_millis=500, memory=2**30, gpu_type="nvidia-TeslaV100", nodes=1)
    assert found.data == StoreRef("s3", "tf-training-data", "http://s3.default.svc.cluster.local")
    assert found.results == StoreRef("s3", "tf-trained-model", "http://s3.default.svc.cluster.local")
    assert submission.data_credentials == submission.results_credentials == Credentials("test", "sEcReT/1")
    assert found.metrics == {"type": "tensorboard", "in": "$JOB_STATE_DIR/logs/tb"}
    assert submission.warnings == ()


@pytest.mark.parametrize(
    ("memory", "size"), [("300MiB", 300 * 2**20), ("8Gb", 8 * 10**9), ("16GB", 16 * 10**9), ("'1 GiB'", 2**30)]
)
def test_memory_is_read_in_every_spelling(memory, size):
    assert spec(change(FFDL, "1GiB", memory)).resources.memory == size


def test_no_gpu_is_a_number_of_gpus():
    assert spec(change(FFDL, "gpus: 1", "gpus: 0")).resources.gpus == 0


@pytest.mark.parametrize("kind", ["swift", "swift_datastore", "softlayer_objectstore", "bluemix_objectstore"])
def test_ffdls_swift_is_keystone_v3(kind):
    connection = FFDL[FFDL.index("      auth_url") : FFDL.index("framework")]
    text = change(FFDL, connection, "".join(f"  {line}\n" for line in SWIFT.splitlines()))
    found = spec(change(text, "mount_cos", kind))
    assert found.data == StoreRef(
        "bluemix_objectstore", "tf-training-data", "https://identity.example.com/v3", "dallas", "1090141", "3f0f"
    )


def test_an_image_tag_of_ffdl_completes_a_custom_image_and_has_no_other_effect():
    custom = change(FFDL, 'name: tensorflow\n  version: "1.5.0-gpu-py3"', "name: custom\n  version: me/image")
    assert spec(custom + "  image_tag: v7\n").framework == Framework("custom", "me/image:v7")
    warnings = read(FFDL + "  image_tag: v7\nstorage: 1Gb\n").submission.warnings
    assert [warning.split(" has")[0] for warning in warnings] == ["line 24: storage", "line 23: image_tag"]


def test_results_beside_the_data_are_warned_of():
    (warning,) = read(change(MANIFEST, "mnist-models", "mnist-data")).submission.warnings
    assert warning.startswith("line 27: results go to the bucket of the data")


@pytest.mark.parametrize(
    ("changes", "path", "line"),
    [
        ({"resource: small": "resource: large"}, "model_definition.execution.resource", 12),
        (
            {"resource: small": "compute_configuration: {name: k80x4}"},
            "model_definition.execution.compute_configuration.name",
            12,
        ),
    ],
)
def test_what_the_plan_refuses_is_told_at_its_place_in_the_manifest(changes, path, line):
    text = MANIFEST
    for old, new in changes.items():
        text = change(text, old, new)
    found = read(text)
    with pytest.raises(TrainyardError) as caught:
        make_plan(found.submission.spec, limits().accounts["free"], limits())
    (problem,) = located(found, caught.value.problems)
    assert (problem.path, problem.line) == (path, line)
    assert problem.code == "C104"


def test_what_the_plan_refuses_of_ffdl_is_told_at_its_place_too():
    text = change(FFDL, 'name: tensorflow\n  version: "1.5.0-gpu-py3"', "name: custom\n  version: me/image")
    found = read(change(text, "gpus: 1", "gpus: 3"))
    with pytest.raises(TrainyardError) as caught:
        make_plan(found.submission.spec, limits().accounts["free"], limits())
    assert [(p.path, p.line) for p in located(found, caught.value.problems)] == [("framework.name", 20), ("gpus", 4)]


def test_both_spellings_at_once_are_a_fault():
    text = change(MANIFEST, "    resource: small", "    resource: small\n    resourceType: small")
    assert only_problem(text).path == "model_definition.execution.resourceType"
    text = MANIFEST + "training_data: {}\n"
    assert "training_data and training_data_reference are both given" in problems(text)["training_data"].message


def test_the_example_in_the_documentation_runs_once_it_is_filled_in():
    text = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    submission = read(change(change(example, "<key id>", "AKIAEXAMPLE"), "<secret>", "sEcReT")).submission
    assert submission.warnings == ()
    assert str(submission.spec.framework) == "tensorflow 2.18"
