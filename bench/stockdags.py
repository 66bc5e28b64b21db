"""The alternative: one generator file that makes a DAG of every manifest, with Airflow's own operators.

It is copied into the DAG folder of an Airflow with default settings and knows nothing of this project. It does the same
five steps, without any of what makes a long training outlive a fault.
"""

import json
import os
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task
from kubernetes.client import models

ROOT = Path(os.environ["BENCH_ROOT"])
DATA, RESULTS = "digits-training-data", "digits-training-results"


def _store() -> Any:
    import boto3

    keys = {"aws_access_key_id": os.environ["BENCH_KEY"], "aws_secret_access_key": os.environ["BENCH_SECRET"]}
    return boto3.client("s3", endpoint_url=os.environ["BENCH_STORE"], region_name="us-east-1", **keys)


@task
def validate(name: str) -> None:
    store = _store()
    if not store.list_objects_v2(Bucket=DATA, MaxKeys=1)["KeyCount"]:
        raise ValueError(f"{DATA} is empty")
    store.put_object(Bucket=RESULTS, Key=f"{name}/probe", Body=b"probe")
    store.delete_object(Bucket=RESULTS, Key=f"{name}/probe")


@task
def stage(name: str) -> None:
    store, run = _store(), ROOT / "runs" / name
    for folder in ("data", "result", "model"):
        (run / folder).mkdir(parents=True, exist_ok=True)
    for found in store.list_objects_v2(Bucket=DATA)["Contents"]:
        store.download_file(DATA, found["Key"], str(run / "data" / Path(found["Key"]).name))
    with zipfile.ZipFile(ROOT / "model.zip") as packed:
        packed.extractall(run / "model")


@task
def upload(name: str) -> None:
    store, result = _store(), ROOT / "runs" / name / "result"
    for file in result.iterdir():
        store.upload_file(str(file), RESULTS, f"{name}/{file.name}")


@task
def cleanup(name: str) -> None:
    shutil.rmtree(ROOT / "runs" / name)


def train(name: str, manifest: dict[str, Any]) -> KubernetesPodOperator:
    return KubernetesPodOperator(
        task_id="train",
        name=name,
        image=manifest["image"],
        cmds=["sh", "-c", f"touch /job/result/started; cd /job/model; exec {manifest['command']}"],
        pool="bench",
        container_resources=models.V1ResourceRequirements(limits={"nvidia.com/gpu": "1"}),
        volumes=[models.V1Volume(name="job", host_path=models.V1HostPathVolumeSource(path=str(ROOT / "runs" / name)))],
        volume_mounts=[models.V1VolumeMount(name="job", mount_path="/job")],
        in_cluster=False,
    )


for _file in sorted((ROOT / "manifests").glob("*.json")):
    _manifest, _name = json.loads(_file.read_text()), _file.stem
    with DAG(
        _name,
        schedule="@once" if _manifest["runs"] else None,
        start_date=datetime(2017, 11, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
    ) as _dag:
        validate(_name) >> stage(_name) >> train(_name, _manifest) >> upload(_name) >> cleanup(_name)
    globals()[_name] = _dag
