"""A board's console and new programs for it, while the gateway runs on."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boardtalk.events import Delivery
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.firmware import example
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.micropython.board import MicroPythonBoard
from tests.flash.bench import audit

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
board rover {{
    port = {port}
}}
"""
PROGRAM = [sys.executable, "-m", "boardtalk"]


class Bench:
    """A board that mpremote takes for real, a gateway that knows it, and commands for both."""

    def __init__(self, board: MicroPythonBoard, gateway: GatewayProcess) -> None:
        self.board, self.gateway = board, gateway

    async def boardtalk(self, *words: str | Path, rc: int = 0) -> str:
        """Run a command on the gateway's folder; what it says."""
        command = [*PROGRAM, *map(str, words), "--state", str(self.gateway.folder)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == rc, said.decode()
        return said.decode()

    async def says(self, text: str, wanted: str) -> None:
        """Wait until the robot answers a text so."""
        async with asyncio.timeout(15):
            while wanted not in await self._chat(text):
                await asyncio.sleep(0.05)

    async def _chat(self, text: str) -> str:
        command = [*PROGRAM, "chat", "rover", text, "--user", "alice", "--state", str(self.gateway.folder)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        return (await process.communicate())[0].decode()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    state = tmp_path / "state"
    state.mkdir()
    async with (
        MicroPythonBoard(example("rover")) as board,
        GatewayProcess(state, CONF.format(port=board.port)) as gateway,
    ):
        await gateway.online("rover", "alice")
        yield Bench(board, gateway)


async def test_a_changed_program_runs_on_the_board_and_the_gateway_speaks_to_it(
    bench: Bench, tmp_path: Path
) -> None:
    main = (example("rover") / "main.py").read_text()
    changed = tmp_path / "main.py"
    changed.write_text(main.replace("a rover with two driven wheels", "a rover that was changed"))
    began = time.monotonic()
    said = await bench.boardtalk("push", "rover", changed)
    print(f"push took {time.monotonic() - began:.2f} s")
    assert "main.py: rover runs, after" in said
    assert [row[1:] for row in audit(bench.gateway.folder)] == [
        ("push", "rover", "main.py: begins"),
        ("push", "rover", "main.py: done"),
    ]
    await bench.says("help", "a rover that was changed")


async def test_what_a_broken_program_says_is_shown_and_it_can_be_replaced(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.says("battery", "V")  # whoever talks to a robot hears what it prints
    broken = tmp_path / "main.py"
    broken.write_text("print('here I go', chr(27) + '[31m')\n1 / 0\n")
    async with GatewayClient.connect(bench.gateway.folder, "alice") as alice:
        said = await bench.boardtalk("push", "rover", broken, rc=1)
        async with asyncio.timeout(5):
            async for event in alice.events():
                if isinstance(event, Delivery) and "ZeroDivisionError" in event.message.body:
                    break
    assert "here I go" in said
    assert "ZeroDivisionError" in said
    assert 'File "main.py", line 2' in said
    assert "its program has ended" in said
    assert "\x1b" not in said, "no escape of a board reaches the terminal"
    said = await bench.boardtalk("push", "rover", example("rover") / "main.py")
    assert "rover runs" in said
    await bench.says("battery", "V")


async def test_a_file_that_is_not_there_is_named(bench: Bench) -> None:
    said = await bench.boardtalk("push", "rover", "nonesuch.py", rc=2)
    assert "nonesuch.py: no such file" in said


async def test_a_board_that_nobody_knows_can_t_be_borrowed(bench: Bench) -> None:
    assert "there is no board 'nobody'" in await bench.boardtalk("console", "nobody", rc=2)


async def test_the_console_is_the_boards_and_the_port_the_gateways_again_afterwards(bench: Bench) -> None:
    master, slave = pty.openpty()
    command = [*PROGRAM, "console", "rover", "--state", str(bench.gateway.folder)]
    child = await asyncio.create_subprocess_exec(
        *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    os.set_blocking(master, False)
    try:
        await _until(master, b"Ctrl-] leaves")
        await _until(master, b">>> ", b"\x03")
        os.write(master, b"6 * 7\r")
        await _until(master, b"42")
        assert "lent to `boardtalk console`" in await bench.boardtalk("boards")
        os.write(master, b"\x04")
        await asyncio.sleep(0.3)
        os.write(master, b"\x1d")
        assert await asyncio.wait_for(child.wait(), 10) == 0
    finally:
        os.close(master)
        if child.returncode is None:
            child.kill()
            await child.wait()
    await bench.says("battery", "V")
    assert audit(bench.gateway.folder)[-1][1:] == ("console", "rover", "its prompt: done")


async def _until(master: int, wanted: bytes, key: bytes = b"") -> None:
    """Read until it is seen; a key is pressed again and again until then, as people do."""
    seen, pressed = b"", 0.0
    async with asyncio.timeout(10):
        while wanted not in seen:
            if key and time.monotonic() > pressed + 1:
                os.write(master, key)
                pressed = time.monotonic()
            try:
                seen += os.read(master, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.02)
