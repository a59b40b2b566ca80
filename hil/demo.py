"""`boardtalk demo`: a gateway with a simulated rover, and a chat to try it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from rich.console import Console

from boardtalk.cli import invitation
from boardtalk.cli.common import await_, me
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient, ask_unnamed
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.folders import demo_folder
from boardtalk.sdk.options import StateFolder

if TYPE_CHECKING:
    from pathlib import Path

UID: Final = "b0a7d7a1c0de0001"
"""Always the same board, so that it is still stopped if it was when the last demo ended."""

CONF: Final = """\
# Written by `boardtalk demo`: free ports for broker and page, and the simulated rover's pseudo-terminal.
log_level = warning

broker {{
    port = 0
}}

listen {{
    port = 0
}}

module iot_bridge {{
    discover = no
}}

board rover {{
    port = {port}
    clearance = 1.1
    speed = 1.4
    brakes = 4
}}
"""


class DemoError(BoardtalkError):
    """The demo can't start."""


def demo(
    *,
    headless: bool = False,
    state: StateFolder = None,
) -> int:
    """Chat with a simulated rover: real MicroPython, real gateway, no hardware.

    Example: boardtalk demo

    Args:
        headless: print one line beginning with `ready` and wait, instead of opening a chat.
    """
    if not headless and not sys.stdin.isatty():
        raise DemoError("the chat needs a terminal; without one: `boardtalk demo --headless`")
    return await_(_demo(state or demo_folder(), headless=headless))


async def _demo(folder: Path, *, headless: bool) -> int:
    async with AsyncExitStack() as stack:
        board = await stack.enter_async_context(EmulatedBoard("rover", uid=UID, fallback=True))
        gateway = await stack.enter_async_context(GatewayProcess(folder, CONF.format(port=board.port)))
        await gateway.online("rover", me())
        if headless:
            if "CPython" in board.interpreter:
                print(f"the simulated rover runs in {board.interpreter}", file=sys.stderr)
            print("\n".join((gateway.ready, *invitation.lines(await _page(folder)))), flush=True)
            await asyncio.Event().wait()  # until Ctrl-C
        from boardtalk.frontends.terminal import Chat

        _introduce(board, gateway, await _page(folder))
        client = await stack.enter_async_context(GatewayClient.connect(folder, me()))
        await Chat(client, folder, me()).run(folder / "chat-history")
    return 0


async def _page(folder: Path) -> control.Page:
    """Where the web page is, with a token if nobody can log in there yet."""
    page = await ask_unnamed(folder, control.AskPage())
    assert isinstance(page, control.Page)  # noqa: S101 - the answer to it
    return page


def _introduce(board: EmulatedBoard, gateway: GatewayProcess, page: control.Page) -> None:
    console = Console(highlight=False)
    for line in invitation.lines(page):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"A simulated rover runs in [bold]{board.interpreter}[/]; its port: {board.port}")
    host, port = gateway.mqtt
    console.print(f"MQTT: {host}:{port}; in another terminal, for a password:")
    program = "python -m boardtalk" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    console.print(f"  {program} user token {me()}", soft_wrap=True)
    console.print(
        "[dim]A software stop is no emergency stop: give real machines a switch that cuts motor power.[/]"
    )
