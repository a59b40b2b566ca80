"""A board that can be updated, a gateway that knows it, and the command `boardtalk ota` for both."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.ota.conversation import Conversation, converse
from boardtalk.modules.iot_bridge.ota.install import stage
from boardtalk.modules.iot_bridge.ota.keys import board_key
from boardtalk.modules.iot_bridge.ota.release import collect
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import BoardtalkError
from tests.iot_bridge.servers import tcp_server

CONF = """\
log_level = warning
broker {{
    port = 0
}}
module iot_bridge {{
    discover = no
}}
user alice {{
    role = operator
}}
board lamp {{
    port = {port}
}}
"""
UID = "0102030405060708"
HEAP = "192k"
HEALTHY_MS, WATCHDOG_MS = 1500, 1500
"""Instead of 30 s and 8 s: the tests wait for both."""

PROGRAM = """\
from boardtalk import Arg, Board
from part import VERSION

lamp = Board("lamp", version=VERSION)

@lamp.command("query", returns={"version": Arg(str)})
def version():
    return VERSION

@lamp.command("motion", distance=Arg(int, "cm", 1, 500))
async def forward(distance):
    pass
"""
RUN = "\nlamp.run()\n"


def program(folder: Path, version: str, *, more: str = "", filler: int = 0) -> Path:
    """A robot's program in two files, and a third of so many bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(PROGRAM + more + RUN)
    (folder / "part.py").write_text(f"VERSION = {version!r}\n")
    (folder / "filler.bin").write_bytes(bytes(at * 7 % 251 for at in range(filler)))
    return folder


def flash(folder: Path, state: Path, uid: str = UID, modulus: int | None = None) -> Path:
    """What `boardtalk ota install` puts onto a board, with the release 1 in the first slot."""
    folder.mkdir()
    stage(folder, state, uid, collect([program(folder.with_name("first"), "1")], "1"), modulus)
    slots = (folder / "slots.py").read_text()
    slots = slots.replace("_HEALTHY_MS = const(30000)", f"_HEALTHY_MS = const({HEALTHY_MS})")
    slots = slots.replace("_WATCHDOG_MS = const(8000)", f"_WATCHDOG_MS = const({WATCHDOG_MS})")
    (folder / "slots.py").write_text(slots)
    code = (folder / "ota.py").read_text()
    (folder / "ota.py").write_text(code.replace("_SYNC_BYTES = const(16384)", "_SYNC_BYTES = const(2048)"))
    return folder


class Site:
    """Board and gateway."""

    def __init__(self, board: MicroPythonBoard, gateway: GatewayProcess) -> None:
        self.board, self.gateway, self.state = board, gateway, gateway.folder
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, *words: str | Path) -> asyncio.subprocess.Process:
        """`boardtalk ota`."""
        if words[0] not in {"keygen", "sign"}:
            words = (*words, "--state", self.state)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "boardtalk", "ota", *map(str, words)),
            stdout=asyncio.subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    async def end(self) -> None:
        """End what has not ended by itself."""
        for process in self._started:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def ota(self, *words: str | Path, rc: int = 0, within: float = 60) -> str:
        """Run it; what it says."""
        process = await self.start(*words)
        said = (await asyncio.wait_for(process.communicate(), within))[0].decode()
        print(said)
        assert process.returncode == rc, said
        return said

    async def link(self, request: api.AnyRequest) -> Any:
        """Ask the link process."""
        return await ask(self.state, request)

    async def runs(self) -> tuple[str, bool]:
        """Label of the release that runs, and whether it is on trial; when no other one is about to start."""
        async with asyncio.timeout(20):
            while True:
                try:
                    async with self.talk() as talk:
                        status = await talk.status()
                        if status.trial or not status.left:
                            runs = status.versions.split("\n")[status.running]
                            return runs.split("+")[0], bool(status.trial)
                except BoardtalkError:
                    await asyncio.sleep(0.1)

    def talk(self) -> Any:
        return converse(self.state, "lamp", "a test")

    @property
    def key(self) -> bytes:
        return board_key(self.state, UID)


@asynccontextmanager
async def site(folder: Path, by: str = "", modulus: int | None = None, **board: Any) -> AsyncIterator[Site]:
    """A board with release 1, and its gateway; they speak `by` its port, "tcp" or "mqtt"."""
    state = folder / "state"
    state.mkdir()
    robot = flash(folder / "flash", state, modulus=modulus)
    emulated = MicroPythonBoard(robot, **{"uid": UID, "heap": HEAP, "flash": "littlefs", **board})
    async with AsyncExitStack() as stack:
        if by != "mqtt":
            port = (await stack.enter_async_context(emulated)).port
        if by == "tcp":
            port = f"tcp://127.0.0.1:{await stack.enter_async_context(tcp_server(port))}"
        conf = CONF.format(port=by if by == "mqtt" else port)
        gateway = await stack.enter_async_context(GatewayProcess(state, conf))
        if by == "mqtt":
            (robot / "boardtalk.json").write_text(await credentials(state))
            await stack.enter_async_context(emulated)
        await gateway.online("lamp", "alice")
        found = Site(emulated, gateway)
        try:
            yield found
        finally:
            await found.end()


async def credentials(state: Path) -> str:
    """What lets the board log in at the gateway's broker."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "boardtalk", "boards", "credentials", "lamp", "--state", str(state)),
        stdout=asyncio.subprocess.PIPE,
    )
    return (await process.communicate())[0].decode()


__all__ = ["Conversation", "Site", "flash", "program", "site"]
