"""An Airflow in its own home: tables, and all that processes inherit which are forked afterwards."""

from __future__ import annotations

import asyncio
import importlib

_INHERITED = (
    "airflow.providers.cncf.kubernetes.hooks.kubernetes",
    "airflow.sdk.execution_time.task_runner",
    "kubernetes_asyncio.watch",
    "trainyard.airflow.dag",
    "trainyard.airflow.operator",
    "trainyard.airflow.trigger",
)


def set_up() -> None:
    """Make the tables; import and warm up here what every forked process needs."""
    from airflow import settings
    from airflow.models.base import Base
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.db import import_all_models, synchronize_log_template
    from airflow.utils.session import create_session

    from trainyard.airflow.patches import finalfaults

    for module in _INHERITED:
        importlib.import_module(module)
    import_all_models()
    Base.metadata.create_all(settings.engine)
    with create_session() as session:
        synchronize_log_template(session=session)
        session.add(DagBundleModel(name="trainings"))
    finalfaults.install()
    asyncio.run(_warm_up())


async def _warm_up() -> None:
    """Ask the workers' own API something: its first answer takes it seconds, which forked workers are spared."""
    import httpx
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    transport = httpx.ASGITransport(in_process_api_server().app)
    async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
        await client.get("/health")
