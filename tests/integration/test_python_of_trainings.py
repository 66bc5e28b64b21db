"""A training's own Python environment on the local cluster, in each kind of isolation that this machine allows."""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from localkubeserver import ClusterServer, running_cluster, wait_for

from localkube.errors import LocalkubeError
from localkube.machine import choose_isolation
from localkube.mounts import MOUNTS, PATHS, USER_MOUNTS
from trainyard.local.training import prefix

pytestmark = pytest.mark.xdist_group("python of trainings")  # one worker makes what its tests share

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def base() -> Path:
    """The Python of trainings, which `make setup` installs."""
    prefix.ensure(prefix.usual_prefix())
    return prefix.usual_prefix()


@pytest.fixture(scope="module", params=[MOUNTS, USER_MOUNTS, PATHS])
def cluster(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterServer]:
    # A folder with a blank, below /tmp, which the pods' own /tmp hides.
    folder = tmp_path_factory.mktemp("a cluster")
    try:
        choose_isolation(request.param, folder)
    except LocalkubeError:
        pytest.skip(f"this machine does not allow {request.param}")
    options = ("--gpus", "0", "--isolation", request.param, "--python", str(base))
    with running_cluster(folder / "it", *options) as server:
        server.isolation = request.param
        yield server


def output(cluster: ClusterServer, name: str, script: str) -> str:
    """Run a shell script as a training's pod does, with a HOME and a /tmp of its own; return what it printed."""
    mounts = [{"name": each, "mountPath": path} for each, path in (("home", "/job/home"), ("tmp", "/tmp"))]
    container = {"volumeMounts": mounts, "env": [{"name": "HOME", "value": "/job/home"}], "workingDir": "/job/home"}
    spec = {"volumes": [{"name": "home", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}
    script = f"base64 -d >tiny-1.0-py3-none-any.whl <<'END'\n{wheel()}\nEND\n{script}"
    cluster.run(name, "bash", "-ec", script, container=container, spec=spec)
    ended = cluster.ended(name)
    log = cluster.log(name)
    assert ended.exit_code == 0, log
    return log


def wheel() -> str:
    """Return a wheel with a module and a command, as base64."""
    files = {
        "tiny.py": "VALUE = 41\ndef main(): print('run', VALUE)\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    files["tiny-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in [*files, "tiny-1.0.dist-info/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(packed.getvalue()).decode()


def test_every_name_of_python_and_pip_is_the_containers_own(cluster):
    names = ["python", "python3", f"python{VERSION}", "pip", "pip3", f"pip{VERSION}"]
    found = output(cluster, "names", f"which {' '.join(names)}").splitlines()
    assert [Path(each).name for each in found] == names
    assert len({Path(each).parent for each in found}) == 1
    assert found[0].startswith(str(cluster.folder))


@pytest.mark.parametrize("pip", ["pip", "python3 -m pip"])
def test_what_pip_installs_is_the_containers_alone(cluster, base, pip):
    name = f"pip-{pip.replace(' ', '')}"
    script = f"{pip} install --quiet --no-index ./tiny-1.0-py3-none-any.whl; python3 -c 'import tiny'; tiny; which tiny"
    *_, ran, where = output(cluster, name, script).splitlines()
    assert ran == "run 41"
    assert where.startswith(str(cluster.folder))
    assert not list(base.rglob("tiny*"))
    assert not list(Path(sys.prefix).glob("lib/python*/site-packages/tiny*"))
    cluster.delete(name)
    wait_for(lambda: not Path(where).exists(), "the end of the environment with its pod")


def test_pip_install_user_goes_to_the_containers_home(cluster):
    install = "pip install --quiet --user --no-index ./tiny-1.0-py3-none-any.whl"
    script = f"""{install}; python -c 'import tiny; print(tiny.__file__)'; "$HOME/.local/bin/tiny\""""
    where = output(cluster, "user", script).splitlines()
    assert where[-2].endswith(f"home/.local/lib/python{VERSION}/site-packages/tiny.py")
    assert where[-1] == "run 41"


def test_a_container_sees_the_frameworks_packages_and_none_of_the_services(cluster):
    script = (
        "python3 -c 'import numpy, sklearn; print(sklearn.__version__)'; f2py -v; "
        'for name in airflow trainyard boto3 kubernetes; do python3 -c "import $name" 2>/dev/null && echo $name; done; '
        "pip list --format=freeze | grep -ci -e airflow -e sqlalchemy || true"
    )
    version, _, count = output(cluster, "seen", script).split()
    assert f"scikit-learn=={version}\n" in prefix.REQUIREMENTS.read_text()
    assert count == "0"


def test_a_package_of_the_framework_is_replaced_for_the_container_alone(cluster, base):
    files = "mkdir -p fake/joblib; echo '__version__ = \"9.9\"' >fake/joblib/__init__.py; cd fake"
    setup = "from setuptools import setup; setup(name='joblib', version='9.9', packages=['joblib'])"
    script = (
        f'{files}; echo "{setup}" >setup.py; pip install --quiet --no-index --no-build-isolation .; cd ..; '
        "python -c 'import joblib; print(joblib.__version__)'"
    )
    assert output(cluster, "replaced", script).splitlines()[-1] == "9.9"
    assert output(cluster, "afterwards", "python -c 'import joblib; print(joblib.__version__)'") != "9.9\n"


def test_an_environment_that_a_program_makes_can_have_the_frameworks_packages(cluster):
    script = (
        "python3 -m venv --system-site-packages mine; . mine/bin/activate; "
        "pip install --quiet --no-index ./tiny-1.0-py3-none-any.whl; "
        "python -c 'import sklearn, tiny; print(tiny.VALUE)'"
    )
    assert output(cluster, "nested", script).splitlines()[-1] == "41"
