"""What `boardtalk doctor` looks at for boards: ports, who may open them, who holds or probes them."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serial.tools import list_ports

from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import Finding, ServiceError, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serial.tools.list_ports_common import ListPortInfo

PROBERS: Final = {
    "ModemManager": "it talks to each new port for seconds: `sudo systemctl disable --now ModemManager`",
    "brltty": "it takes CH340 ports for Braille displays: `sudo apt remove brltty`",
}
"""Programs that open serial ports of strangers."""
LINK_PROCESS: Final = b"boardtalk.modules.iot_bridge.service"
"""In its command line: it holds the ports of boards, and should."""


def examine(state: Path) -> Iterator[Finding]:
    """Findings about serial ports and the boards behind them."""
    yield from _probers()
    ports = [port for port in list_ports.comports() if port.vid is not None]
    if not ports:
        yield Finding(
            Severity.WARNING,
            "no board is plugged in by USB",
            "is one? Then its cable may only charge: try another cable and port, and watch `dmesg -w`",
        )
    for port in ports:
        yield from _port(port)
    yield from _boards(state)


def _probers() -> Iterator[Finding]:
    running = {name for name in map(_process_name, _pids()) if name in PROBERS}
    for name in sorted(running):
        yield Finding(Severity.WARNING, f"{name} is running", PROBERS[name])


def _port(port: ListPortInfo) -> Iterator[Finding]:
    what = f"{port.device} ({port.description}, USB {port.vid:04x}:{port.pid:04x})"
    if not os.access(port.device, os.R_OK | os.W_OK):
        yield Finding(
            Severity.PROBLEM,
            f"you may not open {what}",
            "`sudo usermod -aG dialout $USER`, then log out and in again",
        )
        return
    holders = [pid for pid in _pids() if _holds(pid, port.device) and not _is_link_process(pid)]
    if holders:
        names = ", ".join(f"{_process_name(pid)} (pid {pid})" for pid in holders)
        yield Finding(Severity.WARNING, f"{what} is held by {names}", "close that program")
    else:
        yield Finding(Severity.FINE, what)


def _boards(state: Path) -> Iterator[Finding]:
    try:
        answer = asyncio.run(ask(state, api.ListBoards(re=1)))
    except ServiceError:
        yield Finding(Severity.FINE, "no link process runs: no board is in use")
        return
    for board in answer.boards if isinstance(answer, api.Boards) else ():
        name = board.name or board.uid or "a board"
        match board.state:
            case api.BoardState.OFFLINE:
                reason = board.detail.removeprefix(f"{board.port}: ")
                yield Finding(Severity.PROBLEM, f"{name} on {board.port}: {reason}", _way_back(board))
            case api.BoardState.WAITING:
                cure = f"`boardtalk boards adopt {board.uid} NAME`"
                yield Finding(Severity.WARNING, f"a board waits for a name on {board.port}", cure)
            case api.BoardState.LATCHED:
                why = f": {board.detail}" if board.detail else ""
                yield Finding(Severity.WARNING, f"{name} is stopped{why}", f"send it `{name}: rearm`")
            case _ if not board.firmware.startswith(f"boardtalk {version('boardtalk')},"):
                what = f"{name} runs {board.firmware}, this gateway is boardtalk {version('boardtalk')}"
                cure = "copy the client of this version to it: docs/board-author.md says how"
                yield Finding(Severity.WARNING, what, cure)
            case _:
                yield Finding(Severity.FINE, f"{name} on {board.port}, {board.firmware}")


def _way_back(board: api.BoardChanged) -> str:
    """What to do about a board that is away, if its reason does not say that itself."""
    if board.port.startswith("/") and not Path(board.port).exists():
        return "plug it in, or correct `port` in its block: `ls /dev/serial/by-id` shows what is plugged in"
    if "nobody answers" in board.detail:
        return "is the boardtalk client on it? docs/board-author.md says how to copy it"
    return ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _is_link_process(pid: int) -> bool:
    try:
        return LINK_PROCESS in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _holds(pid: int, device: str) -> bool:
    """Whether a process has a device open, as far as we may look."""
    try:
        return any(fd.readlink() == Path(device) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
