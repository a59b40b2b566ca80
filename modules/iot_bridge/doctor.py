"""What `boardtalk doctor` looks at for boards: ports, who may open them, and who holds them."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serial.tools import list_ports

from boardtalk.sdk import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serial.tools.list_ports_common import ListPortInfo

PROBERS: Final = {
    "ModemManager": "it talks to every new port for seconds; `sudo systemctl disable --now ModemManager`, or install "
    'the udev rules (ENV{ID_MM_DEVICE_IGNORE}="1")',
    "brltty": "it takes CH340 ports for Braille displays; `sudo apt remove brltty`",
}


def examine(state: Path) -> Iterator[Finding]:
    """Findings about serial ports."""
    yield from _probers()
    ports = [port for port in list_ports.comports() if port.vid is not None]
    if not ports:
        yield Finding(
            Severity.WARNING,
            "no board is plugged in by USB",
            "if one is: its cable may only charge; try another cable and port, and look at `dmesg -w` meanwhile",
        )
    for port in ports:
        yield from _port(port)
