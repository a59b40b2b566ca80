"""A micro:bit in QEMU: real machine code, with the limits of a real one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial

from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.paced import PacedLine
from boardtalk.hil.qemu import microbit
from boardtalk.hil.qemu.microbit import Microbit, MicrobitMissing
from boardtalk.hil.qemu.microbitfs import FlashFull
from tests.hil.flashing import run

installed = pytest.mark.skipif(
    bool(microbit.missing_packages()), reason="QEMU or its firmware is not installed"
)
PROMPT = b">>> "


class Prompt:
    """Its prompt, from a terminal program."""

    def __init__(self, port: str) -> None:
        self._serial = serial.Serial(port, timeout=5)

    async def until(self, end: bytes = PROMPT) -> bytes:
        said = await asyncio.to_thread(self._serial.read_until, end)
        assert said.endswith(end), said
        return bytes(said)

    async def say(self, text: bytes, end: bytes = PROMPT) -> bytes:
        self._serial.write(text + b"\r\n")
        return await self.until(end)

    def close(self) -> None:
        self._serial.close()


@asynccontextmanager
async def prompt(board: Microbit) -> AsyncIterator[Prompt]:
    terminal = Prompt(board.port)
    try:
        yield terminal
    finally:
        terminal.close()


@installed
async def test_it_boots_to_its_prompt_and_reckons() -> None:
    async with Microbit() as board, prompt(board) as terminal:
        assert b"MicroPython v1.9.2" in await terminal.until()
        assert b"\r\n42\r\n" in await terminal.say(b"6*7")
        free = re.search(rb"\r\n(\d+)\r\n", await terminal.say(b"import gc; gc.collect(); gc.mem_free()"))
        assert free
        assert int(free[1]) < 10_000, "16 KB of memory, most of it taken"
        assert b"MemoryError" in await terminal.say(b"bytearray(12000)")


@installed
async def test_mpremote_like_tools_reach_its_raw_prompt() -> None:
    async with Microbit() as board, prompt(board) as terminal:
        await terminal.until()
        await terminal.say(b"\x03\x01", b"raw REPL; CTRL-B to exit\r\n>")
        assert await terminal.say(b"print(1, 2)\x04", b"\x04>") == b"OK1 2\r\n\x04\x04>"


@installed
async def test_it_runs_the_program_on_its_flash_and_control_c_stops_it() -> None:
    async with (
        Microbit({"main.py": b"print('here')\nwhile True: pass\n"}) as board,
        prompt(board) as terminal,
    ):
        await terminal.until(b"here\r\n")
        assert b"KeyboardInterrupt" in await terminal.say(b"\x03")
        await board.reset()
        await terminal.until(b"here\r\n")


@installed
async def test_what_comes_faster_than_it_reads_is_lost() -> None:
    program = b"from microbit import uart, sleep\nuart.init(115200)\nsleep(1000)\nprint(len(uart.read()))\n"
    async with Microbit({"main.py": program}) as board:
        with serial.Serial(board.port, timeout=5) as port:
            await asyncio.sleep(0.3)
            port.write(b"x" * 500)
            got = re.search(rb"(\d+)\r\n", await asyncio.to_thread(port.read_until, b">>> "))
            assert got
            assert 0 < int(got[1]) < 100


@installed
async def test_the_line_has_a_speed_and_faults() -> None:
    async with Microbit(line=PacedLine(115_200)) as board, prompt(board) as terminal:
        await terminal.until()
        assert b"\r\n42\r\n" in await terminal.say(b"6*7")
    line = FaultyLine(1, Faults(flip=0.05))
    async with Microbit(line=line) as board, prompt(board) as terminal:
        assert b"MicroPython v1.9.2-34-gd64154c73" not in await terminal.until(b"\n")
        assert line.fired["flip"]


@installed
async def test_unplugged_it_is_dead_and_plugged_in_it_starts() -> None:
    async with Microbit() as board:
        port = board.port
        await board.unplug()
        assert not board.running
        assert not Path(port).exists()
        await board.replug()
        assert board.port == port
        async with prompt(board) as terminal:
            await terminal.until()
    assert not Path(port).parent.exists()


@installed
async def test_its_files_are_there_of_whatever_length() -> None:
    files = {f"f{size}": bytes(range(256)) * 2 for size in range(3)}
    files |= {f"g{size}": b"x" * size for size in (120, 121, 122, 123, 124, 246, 247, 248)}
    async with Microbit(files) as board, prompt(board) as terminal:
        await terminal.until()
        for name, content in files.items():
            told = await terminal.say(f"f=open({name!r}, 'rb').read(); len(f), sum(f)".encode())
            assert f"({len(content)}, {sum(content)})".encode() in told, name
        assert str(sorted(files)).encode() in await terminal.say(b"import os; sorted(os.listdir())")


@installed
def test_files_must_fit_into_the_flash() -> None:
    with pytest.raises(FlashFull, match="14 kB"):
        Microbit({"main.py": b"#" * 16_000})


@installed
async def test_it_dies_with_the_process_that_emulates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # which can't clean up
    script = (
        "import asyncio, os\nfrom boardtalk.hil.qemu.microbit import Microbit\n"
        "async def main():\n"
        "    async with Microbit() as board:\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    assert (await run(sys.executable, "-c", script)).code == -9


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microbit, "FIRMWARE", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MicrobitMissing, match="apt install qemu-system-arm firmware-microbit-micropython"):
        Microbit()
