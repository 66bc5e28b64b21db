"""A workspace with stores in memory, in which the steps of a run are taken."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from memorystore import MemoryStore
from samples import RUN, SPEC

from trainyard.domain.checkpointing import Checkpointing
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.manifest.archive import ArchiveRules
from trainyard.settings import read_settings
from trainyard.steps.stage import Staged, stage
from trainyard.steps.upload import upload
from trainyard.workspace.layout import RunFolder, Workspace

ID = RUN.model_id


class Bench:
    """One run with its buckets and workspace."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "workspace")
        self.data = MemoryStore(**{"train/a.csv": b"1,2", "labels": b"xy"})
        self.results = MemoryStore()
        self.spec = SPEC
        self.zip_path = folder / "model.zip"
        self.reported: list[str] = []
        with zipfile.ZipFile(self.zip_path, "w") as archive:
            archive.writestr("train.py", "print('hello')")
            program = zipfile.ZipInfo("bin/run.sh")
            program.external_attr, program.create_system = 0o100755 << 16, 3
            archive.writestr(program, "#!/bin/sh\n")

    @property
    def run(self) -> RunFolder:
        return self.workspace.run(RUN)

    @property
    def checkpoints(self) -> Path:
        return self.workspace.checkpoints_of(RUN, "vision", self.spec)

    def share_checkpoints(self) -> None:
        self.spec = replace(self.spec, checkpoint=Checkpointing(shared=True))

    def stage(self, key: RunKey = RUN, data_version: str = "", resume_from: str = "") -> Staged:
        rules = ArchiveRules.of(read_settings({}))
        args = (self.data, self.results, self.workspace, self.zip_path, rules, 2, self.reported.append)
        return stage(key, self.spec, "vision", *args, data_version=data_version, resume_from=resume_from)

    def train(self, **files: str) -> None:
        """Do what a program does: `result/model/x="..."` and the like, and a log."""
        self.run.started.write_text("")
        for name, text in {"logs/learner-1/training-log.txt": "epoch 1\n", **files}.items():
            path = self.run.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def upload(self, outcome: Outcome | None = None, manifest: str = "") -> Any:
        args = (self.results, self.workspace, self.zip_path, outcome or Outcome(), 2, self.reported.append, 0.0)
        return upload(RUN, self.spec, "vision", *args, manifest=manifest)

    def stored(self) -> dict[str, str]:
        own = {key: content for key, content in self.results.contents.items() if key.startswith(f"{ID}/")}
        return {key.removeprefix(f"{ID}/"): content.decode(errors="replace") for key, content in own.items()}
