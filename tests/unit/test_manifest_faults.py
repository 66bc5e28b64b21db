"""Everything wrong with a manifest is told at once, each fault with its place, the value seen and a hint."""

from __future__ import annotations

import pytest
from manifest_samples import FFDL, MANIFEST, SWIFT, change, only_problem, problems, read, refusal

from trainyard.errors import TrainyardError
from trainyard.manifest.placeholders import is_placeholder
from trainyard.manifest.store import Endpoint, read_endpoint

COMPUTE = "model_definition.execution.compute_configuration"
SOURCE = "training_data_reference[0].source"
NAME = "model_definition.framework.name"
VERSION = "model_definition.framework.version"
SIZE = "model_definition.execution.resource"
CONNECTION = "training_data_reference[0].connection"


def test_all_faults_are_told_in_the_order_of_the_file():
    text = MANIFEST
    for old, new in {
        "description": "descripton",
        "name: tensorflow": "name: tensorfow",
        "resource: small": "resource: tiny",
        "AKIAEXAMPLE\n    aws_secret_access_key: sEcReT/1\n  source": "<key>\n    aws_secret_access_key:\n  source",
        "  target:\n    bucket: mnist-models\n    type: s3\n": "  target:\n    type: s4\n",
    }.items():
        text = change(text, old, new)
    error = refusal(text)
    assert [(p.line, p.path) for p in error.problems] == [
        (6, "model_definition.descripton"),
        (8, NAME),
        (12, SIZE),
        (16, f"{CONNECTION}.aws_access_key_id"),
        (17, f"{CONNECTION}.aws_secret_access_key"),
        (26, "training_results_reference.target.bucket"),
        (27, "training_results_reference.target.type"),
    ]
    assert all(problem.message and problem.hint for problem in error.problems)
    assert error.message == "the submission has 7 problems"


@pytest.mark.parametrize(
    ("old", "path", "most"),
    [
        ("Digits.", "model_definition.description", 10_000),
        ("Ada Lovelace", "model_definition.author.name", 10_000),
        ("AKIAEXAMPLE", f"{CONNECTION}.aws_access_key_id", 4096),
        ("https://s3.example.com", f"{CONNECTION}.endpoint_url", 4096),
    ],
)
def test_a_text_that_is_too_long_to_be_one_is_told_and_not_kept(old, path, most):
    longest = change(MANIFEST, old, old + "x" * (most - len(old)))
    assert [each for each in _problems(longest) if "characters long" in each.message] == []
    problem = next(each for each in _problems(change(MANIFEST, old, old + "x" * most)) if each.path == path)
    assert problem.message == f"the value is over {most} characters long."


def _problems(text):
    try:
        read(text)
    except TrainyardError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "meant"),
    [
        ("description", "desciption", "model_definition.desciption", 6, "description"),
        ("    email", "    Mail", "model_definition.author.Mail", 5, "email"),
        ("aws_access_key_id", "aws_acces_key", f"{CONNECTION}.aws_acces_key", 16, "aws_access_key_id"),
        ("  source:", "  sources:", "training_data_reference[0].sources", 18, "source"),
        (
            "training_data_reference",
            "training_data_references",
            "training_data_references",
            13,
            "training_data_reference",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(old, new, path, line, meant):
    problem = problems(MANIFEST.replace(old, new, 1))[path]
    assert problem.line == line
    assert problem.hint == f"Did you mean {meant}?"


def test_a_key_like_no_other_is_told_with_all_that_are_known():
    problem = only_problem(change(MANIFEST, "  description: Digits.", "  zzz: 1"))
    assert problem.message == "there is no key zzz."
    assert problem.hint == "Known here: name, description, author, framework, execution."


def test_the_value_of_a_misspelt_secret_is_masked():
    for key in ("secret_acces_key", "paswd", "seceret", "xyz"):
        text = change(MANIFEST, "aws_secret_access_key: sEcReT/1", f"{key}: sEcReT/1")
        assert "sEcReT" not in str(refusal(text).as_dict())


@pytest.mark.parametrize(
    "filler",
    ["<username>", "< from cloud portal > ", "xxx", "XXXX", "...", "''", '""', "null", "~", "", "PUT_KEY_HERE",
     "PUT_SECRETY_ACCESS_KEY_HERE", "'****'", "your-key", "YOUR_KEY_HERE", "'{{ key }}'", "$ACCESS_KEY", 
     "'${ACCESS_KEY}'", "access_key_id", "aws_access_key_id", "TODO",
     "changeme", "insert your key", "enter_key_here", "'???'", "'[key]'"],
)  # fmt: skip
def test_a_placeholder_is_not_a_value(filler):
    problem = problems(change(MANIFEST, "AKIAEXAMPLE", filler))[f"{CONNECTION}.aws_access_key_id"]
    assert problem.line == 16
    assert "not filled in" in problem.message or "no value" in problem.message


@pytest.mark.parametrize(("filler", "seen"), [("<username>", "<username>"), ("xxx", "xxx"), ("", "''"), ("'  '", "''")])
def test_filler_is_shown_even_where_a_secret_belongs(filler, seen):
    problem = problems(change(MANIFEST, "aws_secret_access_key: sEcReT/1", f"aws_secret_access_key: {filler}"))
    assert problem[f"{CONNECTION}.aws_secret_access_key"].seen == seen


@pytest.mark.parametrize(
    "value", ["REDACTED", "test", "xx", "a...b", "my-key", "ml_user", "s3_data", "password", "HERE", "<3x>y", "x-x-x"]
)
def test_a_strange_value_is_still_a_value(value):
    assert read(change(MANIFEST, "sEcReT/1", f"'{value}'")).submission.data_credentials.secret == value


@pytest.mark.parametrize("bucket", ["my-secret-bucket", "inserts", "your2024", "put-here-x", "xx", "training-bucket"])
def test_a_strange_bucket_is_still_a_bucket(bucket):
    assert read(change(MANIFEST, "mnist-data", bucket)).submission.spec.data.bucket == bucket


@pytest.mark.parametrize(
    "command", ["insert_rows.py", "'[ -f x ] && python y.py'", "your-tool --fast", "$CMD", "replace x here"]
)
def test_a_command_is_not_taken_for_a_placeholder(command):
    assert read(change(MANIFEST, "python3 convolutional_network.py --data ${DATA_DIR}", command))


@pytest.mark.parametrize("bucket", ["TRAINING_BUCKET", "RESULTS_BUCKET", "< bucket name >", "<bucket>", "$BUCKET"])
def test_a_bucket_of_a_template_is_a_placeholder(bucket):
    problem = only_problem(change(MANIFEST, "mnist-data", bucket))
    assert (problem.line, problem.seen) == (19, bucket)


def test_prose_may_say_what_it_likes():
    text = change(MANIFEST, "description: Digits.", "description: '<nothing>'")
    assert read(change(text, "name: Ada Lovelace", "name: xxx")).submission.spec.description == "<nothing>"
    assert not is_placeholder("command", "x" * 300)


@pytest.mark.parametrize(("version", "warned"), [("1.5", True), ("2", False), ("'1.5'", False)])
def test_a_version_that_survives_being_a_number_is_read(version, warned):
    warnings = read(change(MANIFEST, "1.2-py3", version)).submission.warnings
    assert warnings == (('line 9: version 1.5 is a number to YAML; write "1.5" in quotes',) if warned else ())


@pytest.mark.parametrize("version", ["0.10", "1.0e1", "1.50", "2.0e0"])
def test_a_version_that_a_number_does_not_keep_is_refused(version):
    problem = only_problem(change(MANIFEST, "1.2-py3", version))
    assert (problem.path, problem.line, problem.seen) == (VERSION, 9, version)
    assert problem.hint == f'Write "{version}" in quotes.'


def test_an_unknown_framework_is_told_with_the_known_ones():
    problem = only_problem(change(MANIFEST, "name: tensorflow", "name: cntk"))
    assert (problem.path, problem.seen, problem.code) == (NAME, "cntk", "C101")
    assert "pytorch, " in problem.hint
    assert "scikit-learn, " in problem.hint


@pytest.mark.parametrize("name", ["scikit-learn", "sklearn"])
def test_an_unknown_version_is_told_with_the_known_ones(name):
    problem = only_problem(
        change(MANIFEST, "name: tensorflow\n    version: 1.2-py3", f'name: {name}\n    version: "9.9"')
    )
    assert (problem.path, problem.seen) == (VERSION, "9.9")
    assert problem.hint == "Use one of 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 0.24, 0.23, 0.22, 0.21, 0.20, 0.19, 0.18, 0.17."


def test_an_unknown_size_is_told_with_the_known_ones():
    error = refusal(change(MANIFEST, "resource: small", "resource: huge"))
    assert error.code.code == "C104"
    (problem,) = error.problems
    assert (problem.path, problem.line, problem.seen) == (SIZE, 12, "huge")
    assert problem.hint == "Use one of small, medium, large, k80, k80x2, k80x4, p100, p100x2, v100, v100x2."


@pytest.mark.parametrize(
    ("endpoint", "url", "added"),
    [
        ("s3.example.com", "https://s3.example.com", True),
        ("s3.example.com:9000/", "https://s3.example.com:9000", True),
        ("10.0.0.1:9000", "https://10.0.0.1:9000", True),
        ("http://localhost:9000", "http://localhost:9000", False),
        ("https://s3.example.com/sub/", "https://s3.example.com/sub", False),
        ("HTTPS://S3.example.com", "HTTPS://S3.example.com", False),
        ("http://[::1]:9000", "http://[::1]:9000", False),
    ],
)
def test_an_endpoint_gets_the_scheme_it_lacks(endpoint, url, added):
    assert read_endpoint(endpoint) == Endpoint(url, added)


def test_an_endpoint_without_scheme_is_warned_of_with_its_line():
    submission = read(change(MANIFEST, "https://s3.example.com", "s3.example.com")).submission
    assert submission.spec.data.endpoint == "https://s3.example.com"
    assert [warning.split(";")[0] for warning in submission.warnings] == [
        "line 15: endpoint_url has no scheme",
        "line 23: endpoint_url has no scheme",
    ]


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("https://cos-service.bluemix.net/endpoints", "lists the endpoints"),
        ("cos-service.bluemix.net/endpoints/", "lists the endpoints"),
        ("https://control.example.com/v2/endpoints?x=1", "lists the endpoints"),
        ("https://ada:sEcReT@s3.example.com", "user name or password"),
        ("https://s3.example.com/?token=sEcReT", "part after"),
        ("s3://bucket", "not the address"),
        ("ftp://s3.example.com", "not the address"),
        ("https://", "not the address"),
        ("https://a b.example.com", "not the address"),
        ("https://s3.example.com:port", "not the address"),
        ("https://[::1", "not the address"),
        ("/just/a/path", "not the address"),
    ],
)
def test_what_is_no_endpoint_is_refused_without_its_secret(endpoint, words):
    text = MANIFEST.replace("https://s3.example.com", endpoint, 1)
    problem = only_problem(text)
    assert (problem.path, problem.line) == (f"{CONNECTION}.endpoint_url", 15)
    assert words in problem.message
    assert "sEcReT@" not in str(refusal(text).as_dict())


def test_more_than_one_data_store_is_refused():
    store = MANIFEST[MANIFEST.index("- connection") : MANIFEST.index("training_results")]
    problem = only_problem(change(MANIFEST, store, store + store))
    assert (problem.path, problem.line) == ("training_data_reference", 13)
    assert "more than one object store" in problem.message
    store = FFDL[FFDL.index("  - id") : FFDL.index("framework")]
    assert only_problem(change(FFDL, store, store + store)).path == "data_stores"


def test_types_that_contradict_each_other_are_refused():
    text = change(MANIFEST, "  target:", "  type: bluemix_objectstore\n  target:")
    assert "differs" in problems(text)["training_results_reference.target.type"].message


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("model_definition:", "model_definition: x\nzz:", "model_definition", "is text, not a map"),
        ("    resource: small", "    resource: [small]", SIZE, "is a list, not text"),
        ("    resource: small\n", "", SIZE, "is missing"),
        ("    resource: small", "    compute_configuration: k80", COMPUTE, "is text"),
        ("    resource: small", "    compute_configuration: {name: k80, nodes: 0}",
         f"{COMPUTE}.nodes", "one machine"),
        ("    type: s3\ntraining_results", "training_results", "training_data_reference[0].type", "is missing"),
        ("bucket: mnist-data", "bucket: mnist/data", f"{SOURCE}.bucket", "not the name of a bucket"),
        ("bucket: mnist-data", "bucket: größe", f"{SOURCE}.bucket", "not the name of an S3 bucket"),
        ("    type: s3\ntraining_r", "    type: s4\ntraining_r", f"{SOURCE}.type", "cannot"),
        ("    type: s3\ntraining_results", "    type: mount_cos\ntraining_results",
         f"{SOURCE}.type", "FfDL's word"),
        ("  name: tf-mnist", f"  name: {'x ' * 200}", "model_definition.name", "over 256"),
        ("- connection:", "- 7\n- connection:", "training_data_reference", "more than one"),
        ("version: 1.2-py3", "version: [1]", VERSION, "is a list"),
        ("name: tensorflow\n    version: 1.2-py3", "name: custom\n    version: not an image", VERSION, "is its image"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_told_at_its_place(old, new, path, words):
    problem = problems(MANIFEST.replace(old, new, 1))[path]
    assert words in problem.message
    assert problem.line


def test_a_swift_account_of_the_old_login_is_refused_with_a_sentence():
    for text in (
        change(FFDL, "mount_cos", "softlayer_objectstore"),
        change(
            change(MANIFEST, "    type: s3", "    type: softlayer_objectstore"),
            "    endpoint_url: https://s3.example.com\n    aws_access_key_id: AKIAEXAMPLE\n    aws_secret_access_key:",
            "    auth_url: https://dal05.example.com/auth/v1.0\n    userId: ada\n    password:",
        ),
    ):
        for problem in refusal(text).problems:
            assert "only Keystone v3" in problem.message
            assert "project_id" in problem.hint


def test_a_swift_store_needs_project_and_domain():
    connection = FFDL[FFDL.index("      auth_url") : FFDL.index("framework")]
    swift = "".join(f"  {line}\n" for line in SWIFT.splitlines() if "domain" not in line)
    problem = only_problem(change(change(FFDL, connection, swift), "mount_cos", "swift"))
    assert (problem.path, problem.message) == ("data_stores[0].connection.domain_name", "domain_name is missing.")


@pytest.mark.parametrize("kind", ["mount_volume", "host_mount"])
def test_folders_of_the_host_are_refused_with_a_sentence(kind):
    problem = only_problem(change(FFDL, "mount_cos", kind))
    assert "folders of the host are not mounted" in problem.message
    assert "bucket" in problem.hint


@pytest.mark.parametrize(
    ("old", "new", "path", "code"),
    [
        ("learners: 1", "learners: 2", "learners", "C104"),
        ("learners: 1", "learners: 0", "learners", "C101"),
        ("gpus: 1", "gpus: -1", "gpus", "C101"),
        ("gpus: 1", "gpus: 0.5", "gpus", "C101"),
        ("gpus: 1", "gpus: 100000000000000000", "gpus", "C104"),
        ("cpus: 0.5", "cpus: many", "cpus", "C101"),
        ("cpus: 0.5", "cpus: 0", "cpus", "C101"),
        ("cpus: 0.5", "cpus: -1", "cpus", "C101"),
        ("cpus: 0.5", "cpus: 1000000", "cpus", "C104"),
        ("memory: 1GiB", "memory: 512", "memory", "C101"),
        ("memory: 1GiB", "memory: lots", "memory", "C101"),
        ("memory: 1GiB", "memory: 99999999Ti", "memory", "C104"),
        ("learners: 1", "gpu_type: nvidia-TeslaX", "gpu_type", "C104"),
        ("data_stores:", "data_store: 1\ndata_stores:", "data_store", "C101"),
        ("      password: sEcReT/1\n", "", "data_stores[0].connection.password", "C101"),
        ("    training_results:\n      container: tf-trained-model\n", "", "data_stores[0].training_results", "C101"),
    ],
)
def test_what_ffdl_may_not_ask_for_is_refused_and_never_replaced(old, new, path, code):
    problem = only_problem(change(FFDL, old, new))
    assert (problem.path, problem.code) == (path, code)
    assert problem.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a list"),
        ("- a\n- b\n", "a list"),
        ("just words", "a single value"),
        ("42", "a single value"),
        ("settings: {}\ntraining_references: []\n", "an experiment"),
        ("hyper_parameters_optimization: {}\n", "hyperparameter search"),
        ("name: x\nframework: {}\ncommand: x\n", "a training definition"),
        ("name: x\ntrain: {}\n", "Model Asset eXchange"),
        ("apiVersion: v1\nkind: Pod\n", "a Kubernetes object"),
    ],
)
def test_a_file_that_is_something_else_is_told_what_it_is(text, words):
    problem = only_problem(text)
    assert words in problem.message
    assert problem.line == 1
    assert problem.hint


def test_a_map_of_nothing_known_is_told_in_one_sentence_what_a_manifest_has():
    problem = only_problem("foo: 1\nservice: x\n")
    assert "this is no manifest" in problem.message
    assert all(key in problem.hint for key in ("model_definition", "training_data_reference", "docs/manifest.md"))


@pytest.mark.parametrize("key", ["model-definition", "training_data", "frame work", "data_store", "gpu"])
def test_one_part_of_a_manifest_or_nearly_one_is_enough_to_be_read_as_one(key):
    assert "no manifest" not in str(refusal(f"{key}: 1\nfoo: 2\n"))


def test_a_misspelt_family_is_still_recognised():
    assert "model_defintion" in problems(change(MANIFEST, "model_definition", "model_defintion"))
    assert "data_store" in problems(change(FFDL, "data_stores", "data_store"))


def test_a_hundred_problems_are_told_and_the_rest_counted():
    error = refusal(MANIFEST + "".join(f"key{n}: 1\n" for n in range(300)))
    assert len(error.problems) <= 101
