"""The sections in which `trainyard --help` lists the commands: by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainyard.cli.options import QuickGroup

SECTIONS = {
    "Start": ("init", "login", "validate", "train"),
    "Watch": ("list", "show", "logs", "metrics", "tensorboard", "monitor", "exec", "download", "diff"),
    "Change and repeat": ("rerun", "cancel", "delete", "undelete"),
    "Experiments and schedules": ("experiments", "best", "schedules", "pause", "resume", "unschedule"),
    "Data, secrets, notifications": ("data", "datasets", "store", "secret", "notify", "generate-manifest"),
    "The service": ("quota", "up", "down", "status", "doctor", "audit", "version"),
}
_OTHERS = "More"


class SectionedGroup(QuickGroup):
    """The group of all commands."""

    def sections(self, commands: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        placed = {name for names in SECTIONS.values() for name in names}
        all_of_them = {**SECTIONS, _OTHERS: [name for name in commands if name not in placed]}
        return {title: [name for name in names if name in commands] for title, names in all_of_them.items()}
