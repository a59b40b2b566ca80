"""Where gateways keep their state, for commands that look for a running one."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def default_folder() -> Path:
    """Where a gateway without ``--state`` keeps its state: `$XDG_STATE_HOME/boardtalk`."""
    if os.environ.get("STATE_DIRECTORY"):  # set by systemd for a service
        return Path(os.environ["STATE_DIRECTORY"])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "boardtalk"


def demo_folder() -> Path:
    """Where `boardtalk demo` keeps its state, apart from a real gateway's."""
    return default_folder().with_name("boardtalk-demo")


def running_folder() -> Path:
    """The folder of the gateway to talk to: the default one, or the demo's if only that runs."""
    real, demo = default_folder(), demo_folder()
    return demo if gateway_runs(demo) and not gateway_runs(real) else real


def gateway_runs(folder: Path) -> bool:
    """Whether a gateway can be talked to there: one that was killed leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(str(folder / "control.sock"))
        except OSError:
            return False
    return True
