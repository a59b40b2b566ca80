"""Whether MicroPython answers at a port, and which."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serial.tools import list_ports

from boardtalk.flash import usb
from boardtalk.flash.errors import FlashError
from boardtalk.flash.line import Line

if TYPE_CHECKING:
    from boardtalk.boards import Definition

ASK: Final = b"\r\x03\x03\x02"
"""Ctrl-C ends what runs, Ctrl-B says who it is."""
START_AGAIN: Final = b"\x04"
STARTS: Final = b"soft reboot"
BANNER: Final = re.compile(rb"(?s)MicroPython (\S+) on .*>>> ")
ANSWER_S: Final = 1.0
LOOK_S: Final = 0.2


async def answers(port: str, board: Definition, within: float) -> str:
    """What MicroPython says of itself; its program is started again afterwards.

    Args:
        port: where the board was flashed; a drive's board is looked for by its USB ids.
        board: whose ids these are.
        within: seconds.

    Returns:
        Such as `MicroPython v1.27.0`; "" if nobody answers.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while True:
                for each in candidates(port, board):
                    if found := await ask(each, board.link.baud):
                        return found
                await asyncio.sleep(LOOK_S)
    return ""


def candidates(port: str, board: Definition) -> list[str]:
    """Ports where it may answer, after it was flashed at one, or as a drive."""
    if port.startswith(usb.SCHEME):
        return [each.device for each in list_ports.comports() if usb.place(each.device) == usb.place(port)]
    if "://" in port:
        return []
    path = Path(port)
    if path.exists() and not path.is_dir():
        return [port]
    return [each.device for each in list_ports.comports() if (each.vid, each.pid) in board.may_be_opened]


async def ask(port: str, baud: int) -> str:
    """What MicroPython at a port says of itself, "" if nobody answers; its program is started again."""
    told = ""
    with suppress(TimeoutError, FlashError):
        async with Line(port, baud) as line:
            await line.write(ASK)
            text = b""
            async with asyncio.timeout(ANSWER_S):
                while not (found := BANNER.search(text)):
                    text += await line.read(ANSWER_S)
            told = f"MicroPython {found[1].decode(errors='replace')}"
            await line.write(START_AGAIN)
            await line.until(STARTS, ANSWER_S)  # what is not sent when a port is closed is lost
    return told
