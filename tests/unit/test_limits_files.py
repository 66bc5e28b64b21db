"""frameworks.yaml, sizes.yaml and quotas.yaml are checked like manifests and become the limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_samples import limits

from trainyard.domain.limits import Account, FrameworkImage, Size
from trainyard.errors import TrainyardError
from trainyard.manifest.limits import load_limits
from trainyard.settings import data_file

GIB = 1024**3


def test_the_shipped_frameworks_are_those_of_2017_and_of_today():
    known = limits()
    assert known.framework("tensorflow", "1.2-py3") == FrameworkImage(
        "tensorflow", "1.2-py3", "tensorflow/tensorflow:1.2.0-gpu-py3", "python3"
    )
    for name, versions in {
        "scikit-learn": ["0.17", "1.9"],
        "tensorflow": ["1.2-py2", "1.2-py3", "1.3-py2", "1.3-py3", "1.5", "1.8", "1.12", "1.15", "2.18"],
        "caffe": ["1.0-py2"],
        "torch": ["luajit", "lua52"],
        "mxnet": ["0.10"],
        "theano": ["0.10"],
        "caffe2": ["0.8"],
        "pytorch": ["0.3", "0.4", "2.8"],
        "tensorflow-ddl": ["1.5"],
        "tensorflow-horovod": ["1.5"],
        "keras": ["2.1"],
        "jax": ["0.6"],
        "xgboost": ["3.0"],
        "h2o3": ["latest"],
    }.items():
        assert all(known.framework(name, version) for version in versions), name


def test_no_shipped_image_names_a_registry():
    for framework in limits().frameworks:
        host, _, rest = framework.image.partition("/")
        assert rest
        assert not {".", ":"} & set(host)


def test_every_spelling_leads_to_a_framework_that_is_there():
    known = limits()
    there = {(framework.name, framework.version) for framework in known.frameworks}
    assert set(known.aliases.values()) == there


def test_the_shipped_sizes_are_those_of_2017_and_2018():
    sizes = limits().sizes
    assert {name: size.gpus for name, size in sizes.items()} == {
        "small": 1, "medium": 2, "large": 4, "k80": 1, "k80x2": 2, "k80x4": 4,
        "p100": 1, "p100x2": 2, "v100": 1, "v100x2": 2,
    }  # fmt: skip
    assert sizes["k80x4"] == Size("k80x4", 4, 16_000, 96 * 10**9)
    assert set(limits().gpu_nodes) == {"nvidia-teslak80", "nvidia-teslap100", "nvidia-teslav100"}


def test_the_shipped_accounts_are_default_first_and_free():
    accounts = limits().accounts
    assert list(accounts) == ["default", "free"]
    assert accounts["default"] == Account("default", 4, ("*",), 72.0, custom_images=True)
    assert accounts["free"] == Account("free", 1, ("*",), 24.0, custom_images=False)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_own_files_replace_the_shipped_ones(tmp_path):
    frameworks = write(
        tmp_path / "f.yaml",
        "frameworks:\n- name: mine\n  aliases: [Our]\n  versions:\n"
        '  - {version: "1", image: x, interpreter: python3, aliases: [A]}\n',
    )
    sizes = write(
        tmp_path / "s.yaml",
        "sizes:\n- {name: huge, gpus: 8, cpu: 500m, memory: 1.5GiB, node_selector: {gpu: h100}, aliases: [BIG],\n"
        "   tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]}\n"
        "gpu_types: {H100: {gpu: h100}}\n",
    )
    quotas = write(tmp_path / "q.yaml", "accounts: [{name: lab, gpus: 8, members: [ada], max_hours: 0.5}]")
    known = load_limits(frameworks, sizes, quotas)
    mine = FrameworkImage("mine", "1", "x", "python3")
    assert known.framework("OUR", "a") == known.framework("mine", "1") == mine
    assert known.versions_of("our") == ["1"]
    tolerations = ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
    assert known.sizes == {"huge": Size("huge", 8, 500, 3 * GIB // 2, {"gpu": "h100"}, tolerations)}
    assert known.size_name("Big") == "huge"
    assert known.size_name("small") is None
    assert known.gpu_nodes == {"h100": {"gpu": "h100"}}
    assert known.accounts == {"lab": Account("lab", 8, ("ada",), 0.5)}


TWICE = "listed twice"
VERSION = '{version: "1", image: x, interpreter: p}'


@pytest.mark.parametrize(
    ("which", "text", "path", "line", "words"),
    [
        ("frameworks", "frameworks:\n- name: x\n", "frameworks[0].versions", 2, "is missing"),
        ("frameworks", f"frameworks:\n- name: x\n  version: [{VERSION}]\n", "frameworks[0].version", 3, "no key"),
        ("frameworks", "frameworks:\n- name: x\n  versions:\n  - {version: 0.10, image: x, interpreter: p}\n",
         "frameworks[0].versions[0].version", 4, "is a number, not text"),
        ("frameworks", f"frameworks:\n- name: x\n  versions:\n  - {VERSION}\n  - {VERSION}\n",
         "frameworks[0].versions[1].version", 5, TWICE),
        ("frameworks", f"frameworks:\n- name: x\n  versions:\n  - {VERSION}\n  - "
         '{version: "2", image: x, interpreter: p, aliases: ["1"]}\n', "frameworks[0].versions[1].version", 5, TWICE),
        ("frameworks", f"frameworks:\n- {{name: x, versions: [{VERSION}]}}\n- {{name: x, versions: [{VERSION}]}}\n",
         "frameworks[1].versions[0].version", 3, TWICE),
        ("sizes", "sizes:\n- {name: a, gpus: 1, cpu: 1, memory: much}\n", "sizes[0].memory", 2, "not a memory size"),
        ("sizes", "sizes:\n- {name: a, gpus: 1, cpu: many, memory: 1Gi}\n", "sizes[0].cpu", 2, "not a number of cpus"),
        ("sizes", "sizes:\n- {name: a, gpus: -1, cpu: 1, memory: 1Gi}\n", "sizes[0].gpus", 2, "rule minimum 0"),
        ("sizes", "sizes:\n- {name: a, gpus: 1, cpu: 1, memory: 1Gi}\n- {name: a, gpus: 1, cpu: 1, memory: 1Gi}\n",
         "sizes[1].name", 3, TWICE),
        ("quotas", "accounts:\n- {name: a, gpus: 1, members: [], max_hours: 1}\n", "accounts[0].members", 2, "rule"),
        ("quotas", "accounts:\n- {name: a, gpus: 1, members: [x], max_hours: 0}\n", "accounts[0].max_hours", 2, "rule"),
        ("quotas", "accounts:\n- {name: a, gpus: 1, members: [x], max_hours: 1}\n"
         + "- {name: a, gpus: 1, members: [x], max_hours: 1}\n", "accounts[1].name", 3, TWICE),
        ("quotas", "accounts: [1\n", "", 1, "not closed"),
        ("quotas", "", "", None, "empty"),
        ("quotas", "- x\n", "", 1, "a list, not a map"),
    ],
)  # fmt: skip
def test_a_fault_in_a_file_is_the_services_with_path_and_line(tmp_path, which, text, path, line, words):
    file = write(tmp_path / f"{which}.yaml", text)
    with pytest.raises(TrainyardError) as caught:
        load_limits(**{"frameworks": None, "sizes": None, "quotas": None, which: file})
    assert caught.value.code.code == "S500"
    assert str(file) in caught.value.message
    problem = next(problem for problem in caught.value.problems if problem.path == path)
    assert (problem.line, problem.code) == (line, "S500")
    assert words in problem.message


def test_a_missing_file_is_told_by_its_name(tmp_path):
    with pytest.raises(TrainyardError, match=r"nothing\.yaml cannot be read") as caught:
        load_limits(tmp_path / "nothing.yaml", None, None)
    assert caught.value.code.code == "S500"


@pytest.mark.parametrize("name", ["schemas/manifest.schema.json", "config/sizes.yaml"])
def test_shipped_files_are_found(name):
    assert data_file(name).is_file()


@pytest.mark.parametrize("name", ["schemas/nothing.json", "other/x", "config"])
def test_a_file_that_is_not_shipped_is_the_services_fault(name):
    with pytest.raises(TrainyardError, match="is missing") as caught:
        data_file(name)
    assert caught.value.code.code == "S500"
