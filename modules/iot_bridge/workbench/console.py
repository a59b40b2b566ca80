"""The command `boardtalk console`."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from typing import TYPE_CHECKING

from rich.console import Console

from boardtalk.modules.iot_bridge.workbench.loan import MPREMOTE, borrowed
from boardtalk.sdk.audit import Attempt, audited
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder, me

if TYPE_CHECKING:
    from pathlib import Path

errors = Console(stderr=True, highlight=False)


def console(board: str, /, *, state: StateFolder = None) -> int:
    """Open a board's MicroPython console, its REPL; Ctrl-] leaves it.

    The gateway leaves the port alone meanwhile: what moves has stopped by its lease, and `boardtalk stop`
    does not reach the board. Ctrl-C ends the robot's program, Ctrl-D starts it again.

    Example: boardtalk console rover

    Args:
        board: its address, or a port without a gateway: /dev/ttyACM0, rfc2217://HOST:PORT.
    """
    return asyncio.run(_console(board, state or running_folder()))


async def _console(board: str, state: Path) -> int:
    attempt = Attempt(me(), "console", board, "its prompt")
    async with audited(state, attempt), borrowed(board, state, "`boardtalk console`") as loan:
        port = loan.port
        errors.print(
            f"{board} at {port}; Ctrl-] leaves, Ctrl-D starts the robot's program again", markup=False
        )
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the board
        try:
            command = [*MPREMOTE, "connect", port, "resume", "repl"]
            return (await asyncio.to_thread(subprocess.run, command, check=False)).returncode
        finally:
            signal.signal(signal.SIGINT, before)
