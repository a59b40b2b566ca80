"""Into a board's boot loader, by the ways that its definition lists."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.line import Line
from boardtalk.flash.protocol import flasher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from boardtalk.boards import Definition
    from boardtalk.flash.protocol import Flasher

TOUCH_BAUD: Final = 1200
TOUCH_S: Final = 0.1
RAW_PROMPT: Final = b"\r\x03\x03\x01"
"""Ctrl-C ends what runs, Ctrl-A gives the prompt for programs."""
BOOTLOADER: Final = b"import machine\nmachine.bootloader()\n\x04"
PROMPTED: Final = b"raw REPL; CTRL-B to exit\r\n>"
TAKEN: Final = b"OK"
PROMPT_S: Final = 3.0


@asynccontextmanager
async def entered(board: Definition, port: str, baud: int, stop: asyncio.Event) -> AsyncIterator[Flasher]:
    """The board at a port, in its loader.

    Args:
        board: how it is entered.
        port: where it is.
        baud: bits per second, once the loader has been found.
        stop: set when nobody wants it any more.

    Raises:
        FlashError: it is in none; the error says what a person can do.
    """
    async with AsyncExitStack() as stack:
        yield await _enter(board, port, baud, stop, stack)


async def _enter(
    board: Definition, port: str, baud: int, stop: asyncio.Event, stack: AsyncExitStack
) -> Flasher:
    kind = flasher(board)
    failure = FlashError(Code.NO_LOADER, f"{port}: the board is not in its loader")
    for way in board.bootloader.entry:
        if stop.is_set():
            break
        if way == "button":  # a person does that, and then begins again
            continue
        device = kind(board, port, baud)  # before: to see what is at the port, which may vanish
        await enter(way, port)
        try:
            return await stack.enter_async_context(device)
        except FlashError as error:
            if error.code is not Code.NO_LOADER:
                raise
            failure = error
    raise FlashError(failure.code, failure.reason, board.bootloader.hint or failure.cure)


async def enter(way: str, port: str) -> None:
    """Do what a way in takes, one of `Bootloader.entry`; control lines are the flasher's own matter."""
    if Path(port).is_dir() or "://" in port:
        return
    with suppress(FlashError, TimeoutError):  # it may be in the loader already, without a port
        if way == "touch1200":
            async with Line(port, TOUCH_BAUD):
                await asyncio.sleep(TOUCH_S)
        elif way == "machine":
            async with Line(port, 115_200) as line:
                await line.write(RAW_PROMPT)
                await line.until(PROMPTED, PROMPT_S)
                await line.write(BOOTLOADER)
                await line.until(TAKEN, PROMPT_S)
