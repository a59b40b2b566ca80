"""`boardtalk demo`: a gateway with a simulated rover, and a chat to try it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from rich.console import Console

from boardtalk.cli.common import await_, me
from boardtalk.hil.board import EmulatedBoard
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.folders import demo_folder
from boardtalk.sdk.leash import leashed
from boardtalk.sdk.options import StateFolder
from boardtalk.state import locked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
UID: Final = "b0a7d7a1c0de0001"
"""Always the same board, so that it is still stopped if it was when the last demo ended."""
LOG_LINES: Final = 20
"""Of each log, shown when the demo can't start."""
POLL_S: Final = 0.02
"""Between two looks whether the rover is there."""

CONF: Final = """\
# Written by `boardtalk demo`: a free port for the broker, and the simulated rover's pseudo-terminal.
log_level = warning

broker {{
    port = 0
}}

module iot_bridge {{
    discover = no
}}

board rover {{
    port = {port}
}}
"""


class DemoError(BoardtalkError):
    """The demo can't start."""


def demo(
    *,
    headless: Annotated[bool, Parameter(negative="")] = False,
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
        ready = await stack.enter_async_context(gateway(folder, CONF.format(port=board.port)))
        await _online(folder, "rover")
        if headless:
            if "CPython" in board.interpreter:
                print(f"the simulated rover runs in {board.interpreter}", file=sys.stderr)
            print(ready, flush=True)
            await asyncio.Event().wait()  # until Ctrl-C
        from boardtalk.frontends.client import GatewayClient
        from boardtalk.frontends.terminal import Chat

        _introduce(board, ready)
        client = await stack.enter_async_context(GatewayClient.connect(folder, me()))
        await Chat(client).run(folder / "chat-history")
    return 0


async def _online(folder: Path, robot: str) -> None:
    """Wait until the gateway reaches a robot.

    Raises:
        DemoError: it does not within a reasonable time.
    """
    from boardtalk.frontends import control
    from boardtalk.frontends.client import GatewayClient

    try:
        async with asyncio.timeout(START_TIMEOUT_S), GatewayClient.connect(folder, me()) as client:
            while True:
                contacts = (await client.ask(control.Contacts(), control.ContactList)).contacts
                if any(contact.address == robot and contact.online for contact in contacts):
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise DemoError(f"{robot} does not answer; what was logged:\n{_logged(folder)}") from error


def _logged(folder: Path) -> str:
    """The ends of the logs of gateway and link process."""
    logs = [path for name in ("gateway.log", "link.log") if (path := folder / name).exists()]
    return "\n".join("\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:]) for path in logs)


@asynccontextmanager
async def gateway(folder: Path, conf: str) -> AsyncIterator[str]:
    """A gateway in a process of its own; yields its `ready` line.

    Its log goes to ``gateway.log`` there: on the terminal it would stand in the chat.

    Raises:
        DemoError: it did not start.
        StateError: another gateway uses the folder.
    """
    path, log = folder / "demo.conf", folder / "gateway.log"
    with locked(folder):  # a demo that runs already keeps its own
        path.write_text(conf)
        log.write_bytes(b"")
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *leashed(sys.executable, "-m", "boardtalk", "run", "--conf", str(path), "--state", str(folder)),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None  # noqa: S101 - asked for
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            line = (await process.stdout.readline()).decode().strip()
        if not line.startswith("ready"):
            await process.wait()
            said = log.read_text(errors="replace").strip().removeprefix("boardtalk: ")
            raise DemoError(f"the gateway did not start: {said}")
        yield line
    except TimeoutError as error:
        raise DemoError(f"the gateway did not start within {START_TIMEOUT_S:g} s") from error
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _introduce(board: EmulatedBoard, ready: str) -> None:
    console = Console(highlight=False)
    console.print(f"A simulated rover runs in [bold]{board.interpreter}[/]; its port: {board.port}")
    fields = dict(part.split("=", 1) for part in ready.split() if "=" in part)
    if "mqtt" in fields:
        console.print(f"MQTT: {fields['mqtt']}; in another terminal, for a password:")
        program = "python -m boardtalk" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
        console.print(f"  {program} user token {me()}", soft_wrap=True)
    console.print(
        "[dim]A software stop is no emergency stop: give real machines a switch that cuts motor power.[/]"
    )
