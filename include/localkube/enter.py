"""The helper of `exec`: becomes a command inside a running container.

Started as `python -S -P -m localkube.enter FOLDER PID COMMAND...`. Light, because someone waits for it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios

from localkube import mounts, records

_CANNOT_RUN = 126


def main() -> None:
    """Enter the container of the folder and run the command there, with its environment."""
    folder, pid, *command = sys.argv[1:]
    spec = records.read(folder, records.SPEC) or {}
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if spec["isolation"] != mounts.PATHS:
            user = spec["isolation"] == mounts.USER_MOUNTS
            mounts.join(int(pid), user, bool(spec.get("hostname")), bool(spec.get("network")))
        os.chdir(spec["cwd"])
        os.execvpe(command[0], command, spec["env"])
    except OSError as error:
        print(f"cannot run {command[0]!r} in the container: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(_CANNOT_RUN)


if __name__ == "__main__":
    main()
