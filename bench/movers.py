"""Programs that move a bucket in a process of their own: this project's transfers, and plain boto3 in threads.

`python -m bench.movers <who> <down|up> <endpoint> <bucket> <folder> <threads>` prints the seconds it took, without
those of imports, which a worker makes once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

KEY, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def _ours(endpoint: str, bucket: str, threads: int) -> tuple[Callable[[Path], object], Callable[[Path], object]]:
    from trainyard.domain.addresses import ANYWHERE
    from trainyard.domain.training import Credentials, StoreRef
    from trainyard.stores.network.limits import NetworkLimits
    from trainyard.stores.s3.adapter import S3Store
    from trainyard.stores.s3.sessions import read_ahead
    from trainyard.stores.transfer import Source, download, upload
    from trainyard.stores.tree import open_inside, scan

    read_ahead()  # as the scheduler does once for all workers
    credentials, limits = Credentials(os.environ[KEY], os.environ[SECRET]), NetworkLimits(ANYWHERE)
    store = S3Store(StoreRef("s3", bucket, endpoint), credentials, threads, limits=limits)

    def up(folder: Path) -> None:
        files = scan(folder).files
        sources = [Source(name, size, partial(open_inside, folder, name)) for name, size in files.items()]
        upload(store, sources, "", threads, _quiet)

    return lambda folder: download(store, store.list(), folder, threads, _quiet), up


def _boto3(endpoint: str, bucket: str, threads: int) -> tuple[Callable[[Path], object], Callable[[Path], object]]:
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, max_pool_connections=4 * threads)
    client: Any = boto3.client("s3", endpoint_url=endpoint, config=config)
    parts = TransferConfig(max_concurrency=4)

    def fetch(folder: Path, key: str) -> None:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, key, str(folder / key), Config=parts)

    def down(folder: Path) -> None:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(partial(fetch, folder), keys))

    def up(folder: Path) -> None:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda name: client.upload_file(str(folder / name), bucket, name, Config=parts), names))

    return down, up


def _quiet(text: str) -> None:
    pass


def main(who: str, way: str, endpoint: str, bucket: str, folder: str, threads: str) -> None:
    down, up = {"ours": _ours, "boto3": _boto3}[who](endpoint, bucket, int(threads))
    began = time.monotonic()
    (down if way == "down" else up)(Path(folder))
    print(time.monotonic() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
