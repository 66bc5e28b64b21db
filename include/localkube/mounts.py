"""A container's own view of the file system: bind mounts in a mount namespace, without touching the host's tree.

The new root is a small tmpfs into which every entry of `/` is bound. A folder in which a mount point is missing (`/`
for `/job`, `/dev` for `/dev/termination-log`) becomes such a tmpfs too, with the host's entries bound into it. So mount
points appear in the namespace alone. Light, because every shim imports it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import TypedDict

MOUNTS = "mounts"  # as root
USER_MOUNTS = "user-mounts"  # as anyone, through a user namespace
PATHS = "paths"  # no namespace: paths in args and env are rewritten instead

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWUTS, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x04000000, 0x40000000
_RDONLY, _REMOUNT, _BIND, _REC, _UNBINDABLE, _PRIVATE = 1, 32, 4096, 16384, 1 << 17, 1 << 18
_DETACH = 2
# Room for mount points and nothing else.
_EMPTY = "mode=755,size=64k"
_CAP_SYS_ADMIN, _PR_CAPBSET_DROP = 21, 24
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41}
# Flags of the source that a user namespace may not drop when it remounts: (statvfs flag, mount flag).
_KEPT = ((2, 2), (4, 4), (8, 8), (1024, 1024), (2048, 2048), (4096, 1 << 21))

_libc = ctypes.CDLL(None, use_errno=True)


class Mount(TypedDict):
    """One mount: a file or folder of the host, where the container sees it, and whether it may write."""

    source: str
    target: str
    readOnly: bool


def enter(root: str, mounts: list[Mount], user: bool, hidden: Sequence[str] = (), hostname: str = "") -> None:
    """Move this process into a new mount namespace in which `mounts` are in place and `hidden` folders are empty.

    With a `hostname` the machine has that name there.

    `root` is an empty folder of the host to build in. Raise OSError with the step that the machine refused.
    """
    _unshare(user)
    if hostname:
        _check(_libc.unshare(_CLONE_NEWUTS), "unshare of the host name")
        name = hostname.encode()
        _check(_libc.sethostname(name, len(name)), "sethostname")
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", 0, "mode=755")
    # Else the bind of the folder above `root` would take the unfinished root along.
    _mount(None, root, None, _UNBINDABLE)
    _bind_entries("/", root)
    closed = [os.path.realpath(folder) for folder in hidden]
    for folder in closed:
        _mount("tmpfs", root + folder, "tmpfs", 0, _EMPTY)
    ordered = sorted((_resolved(mount) for mount in mounts), key=_depth)
    for folder in _folders_to_open([*closed, *(mount["target"] for mount in ordered)]):
        _open_folder(folder, root)
    for mount in ordered:
        _bind_volume(mount, root)
    for mount in ordered:
        if mount["readOnly"]:
            _make_read_only(root + mount["target"])
    _pivot(root)
    # Without it, root in the container could remount a read-only volume.
    _libc.prctl(_PR_CAPBSET_DROP, _CAP_SYS_ADMIN, 0, 0, 0)


def join_network(descriptor: int) -> None:
    """Move this process into a network namespace."""
    _check(_libc.setns(descriptor, _CLONE_NEWNET), "setns of the network")


def join(pid: int, user: bool, named: bool = False, net: bool = False) -> None:
    """Move this process into the namespaces of a container's process: its mounts, and what it has besides."""
    kinds = (
        ("user", _CLONE_NEWUSER, user),
        ("net", _CLONE_NEWNET, net),
        ("uts", _CLONE_NEWUTS, named),
        ("mnt", _CLONE_NEWNS, True),
    )
    for kind, flag in ((kind, flag) for kind, flag, wanted in kinds if wanted):
        descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        _check(_libc.setns(descriptor, flag), f"setns {kind}")
        os.close(descriptor)
    _libc.prctl(_PR_CAPBSET_DROP, _CAP_SYS_ADMIN, 0, 0, 0)


def _depth(mount: Mount) -> int:
    return mount["target"].count("/")


def _resolved(mount: Mount) -> Mount:
    return Mount(source=mount["source"], target=os.path.realpath(mount["target"]), readOnly=mount["readOnly"])


def _unshare(user: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_CLONE_NEWNS | (_CLONE_NEWUSER if user else 0)), "unshare")
    if user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _folders_to_open(targets: list[str]) -> list[str]:
    """Return the folders of the host in which a mount point has to appear, outer ones first."""
    found: list[str] = []
    for index, target in enumerate(targets):
        if os.path.lexists(target) or any(_is_below(target, other) for other in targets[:index]):
            continue
        folder = _nearest_folder(target)
        if folder != "/" and folder not in found:
            found.append(folder)
    return sorted(found, key=lambda path: path.count("/"))


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder + "/")


def _nearest_folder(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _open_folder(folder: str, root: str) -> None:
    mode = os.stat(folder).st_mode & 0o7777
    _mount("tmpfs", root + folder, "tmpfs", 0, f"mode={mode:o}")
    _bind_entries(folder, root + folder)


def _bind_entries(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target.rstrip('/')}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            _make_place(entry.path, place)
            _mount(entry.path, place, None, _BIND | _REC)


def _bind_volume(mount: Mount, root: str) -> None:
    place = root + mount["target"]
    _make_place(mount["source"], place)
    _mount(mount["source"], place, None, _BIND | _REC)


def _make_place(source: str, place: str) -> None:
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    elif not os.path.lexists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        _write(place, "")


def _make_read_only(place: str) -> None:
    """Remount a place and all mounts that came along below it."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split(" ", 5)[4] for line in file]
    for point in map(_unescaped, points):
        if point == place or _is_below(point, place):
            has = os.statvfs(point).f_flag
            kept = sum(flag for bit, flag in _KEPT if has & bit)
            _mount(None, point, None, _BIND | _REMOUNT | _RDONLY | kept)


def _unescaped(text: str) -> str:
    """Undo the octal escapes of mountinfo, such as \\040 for a blank."""
    for octal in ("040", "011", "012", "134"):
        text = text.replace("\\" + octal, chr(int(octal, 8)))
    return text


def _pivot(root: str) -> None:
    os.chdir(root)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount of the old root")
    os.chdir("/")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(*arguments[:3], ctypes.c_ulong(flags), arguments[3])
    _check(result, f"mount of {source or target} at {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _try() -> None:
    """Build a namespace with two mounts, to see whether this machine allows it: `mounts.py ROOT user|root`."""
    root, who = sys.argv[1:]
    folder = Mount(source=os.path.dirname(root), target="/localkube-probe/folder", readOnly=True)
    file = Mount(source=__file__, target="/dev/localkube-probe", readOnly=False)
    enter(root, [folder, file], who == "user")
    os.stat(folder["target"])
    os.stat(file["target"])


if __name__ == "__main__":
    _try()
