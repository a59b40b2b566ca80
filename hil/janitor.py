"""Tidies up behind a rig, also if that was killed.

`Janitor` runs this file as a program. It waits on a pipe that breaks when the rig's process ends, however
that may be, then kills the link processes of gateways in the rig's folder and removes the folder.
"""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

TRIES, AGAIN_S = 50, 0.1
_CREDENTIALS = "3i"
"""Process, user, group: `struct ucred`."""


class Janitor:
    """Removes a folder, and what runs on it, at the end of the `with` or of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self._folder)],
            stdin=subprocess.PIPE,
            env={},  # it outlives a test, and must not count as that one's
            start_new_session=True,
        )

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def kill_link(folder: Path) -> None:
    """Kill the link process of a state folder, if a gateway that was killed has left one."""
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(str(folder / "link.sock"))
        except OSError:
            return
        size = struct.calcsize(_CREDENTIALS)
        credentials = door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    with contextlib.suppress(ProcessLookupError):
        os.kill(struct.unpack(_CREDENTIALS, credentials)[0], signal.SIGKILL)


def main() -> None:
    """Wait, then tidy up."""
    folder = Path(sys.argv[1])
    sys.stdin.read()
    for door in folder.glob("**/link.sock"):
        kill_link(door.parent)
    for _ in range(TRIES):  # what was killed may still be writing
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(AGAIN_S)


if __name__ == "__main__":
    main()
