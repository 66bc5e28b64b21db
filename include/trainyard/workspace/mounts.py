"""Which file systems keep a kernel lock on every machine that mounts them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
# What no second machine mounts.
_OF_ONE_MACHINE = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "overlay", "tmpfs", "ramfs"}
_SHARED = {"nfs", "nfs4", "ceph", "lustre", "gfs2", "ocfs2"}
# Each makes a shared file system grant a lock without asking the other machines.
_ON_ONE_MACHINE_ONLY = {"nolock", "local_lock=all", "local_lock=flock", "localflock", "localflocks"}


@lru_cache(maxsize=1024)
def keeps_kernel_locks(folder: Path) -> bool:
    """Say whether flock in the folder is known to hold on all machines that see it.

    Many file systems of user space grant it to every machine at once, without an error: what is not known is trusted
    with nothing.
    """
    with suppress(FileNotFoundError):
        return trusts(folder.resolve(), _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    return True  # no Linux, so one machine


def trusts(folder: Path, mounts: Iterable[str]) -> bool:
    """Say the same of a folder whose path has no links, by the lines of a mountinfo."""
    kind, options = "", set[str]()
    depth = -1
    for line in mounts:
        where, _, what = line.partition(" - ")
        point = Path(_unescaped(where.split()[4]))
        # What was mounted later covers what was mounted before.
        if folder.is_relative_to(point) and len(point.parts) >= depth:
            depth = len(point.parts)
            kind, options = what.split()[0], set(what.split()[-1].split(","))
    return kind in _OF_ONE_MACHINE or (kind in _SHARED and not options & _ON_ONE_MACHINE_ONLY)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: os.fsdecode(bytes([int(found[1], 8)])), text)
