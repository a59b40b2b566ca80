"""The client for 16 KB of memory, in real machine code: a micro:bit in QEMU on the gateway's own link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial

from boardtalk.hil.faults import Faults
from boardtalk.hil.kinds import microbit_files
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.paced import PacedLine
from boardtalk.hil.qemu import microbit, tiny
from boardtalk.hil.qemu.microbit import Microbit
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from tests.firmware.peer import Peer


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    missing = microbit.missing_packages()
    if missing and request.node.get_closest_marker("soak"):
        pytest.fail(f"the long campaigns need {missing}")
    if missing:
        pytest.skip(f"{missing} are not installed")


@asynccontextmanager
async def session(line: FaultyLine | PacedLine | None = None) -> AsyncIterator[Peer]:
    async with Microbit(tiny.files(), line=line) as board, Peer(board.port) as peer:
        await peer.learn()
        yield peer


def test_the_command_takes_a_robot_for_it_a_folder_or_files(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('here')\n")
    (tmp_path / "more").mkdir()
    assert microbit_files([tiny.TINY]) == tiny.files()
    assert (
        microbit_files([tmp_path])
        == microbit_files([tmp_path / "main.py"])
        == {"main.py": b"print('here')\n"}
    )


async def test_it_says_who_it_is_and_what_it_can_take() -> None:
    async with Microbit(tiny.files()) as board, Peer(board.port) as peer:
        hello = await peer.hello()
        assert (hello.name, hello.window, hello.max_payload, hello.buffer) == ("tiny", 1, 32, 48)
        dictionary = await peer.learn()
        assert [command.name for command in dictionary.commands] == ["drive", "add", "power"]
        board_restarted = hello.boot
        await board.reset()
        assert (await peer.hello()).boot != board_restarted


async def test_it_reckons_and_a_byte_of_control_c_is_data() -> None:
    async with session() as peer:
        assert await peer.do("add", a=20, b=-62) == {"sum": -42}
        assert await peer.do("add", a=0x03030303, b=0) == {"sum": 0x03030303}


async def test_motion_runs_and_ends_by_itself() -> None:
    async with session() as peer:
        drive = peer.command("drive", ms=300)
        await peer.started(drive)
        assert await peer.do("power") == {"on": True}
        assert await peer.result(drive) == (Outcome.DONE, b"")
        assert await peer.do("power") == {"on": False}


async def test_it_ends_without_a_lease_and_goes_on_with_one() -> None:
    async with session() as peer:
        drive = peer.command("drive", ms=5000, lease_ms=300)
        await peer.started(drive)
        for _ in range(4):
            await asyncio.sleep(0.1)
            peer.renew(drive, 300)
        assert await peer.do("power") == {"on": True}
        assert await peer.result(drive) == (Outcome.FAILED, b"the lease ran out")
        assert await peer.do("power") == {"on": False}


async def test_stop_ends_motion_and_keeps_it_out_until_it_is_rearmed() -> None:
    async with session() as peer:
        drive = peer.command("drive", ms=5000)
        await peer.started(drive)
        peer.stop(7)
        stopped = await peer.frame(Type.STOPPED)
        assert (stopped.kind, stopped.payload) == (Kind.URGENT, b"\x07\x00\x01")
        assert await peer.do("power", epoch=7) == {"on": False}
        peer._read = 0
        assert (await peer.result(drive))[0] is Outcome.CANCELLED
        assert await peer.refused("drive", ms=100, epoch=7) == "stopped"
        peer.rearm(6)
        assert (await peer.frame(Type.STATE)).payload == b"\x07\x00\x01", "that is not the last stop"
        peer.rearm(7)
        assert (await peer.frame(Type.STATE)).payload == b"\x07\x00\x00"
        assert await peer.refused("drive", ms=100, epoch=6) == "stopped"
        assert await peer.do("drive", ms=50, epoch=7) == {}


async def test_a_command_runs_once_alone_and_in_time() -> None:
    async with session() as peer:
        drive = peer.command("drive", ms=400)
        await peer.started(drive)
        peer.command("drive", ms=400, id_=drive)
        await peer.started(drive)
        assert await peer.refused("add", a=1, b=1) == "busy"
        await peer.result(drive)
        peer.command("drive", ms=400, id_=drive)
        assert await peer.do("power") == {"on": False}, "it is not executed again"
        peer._read = 0
        assert await peer.result(drive) == (Outcome.DONE, b"")
        assert (await peer.result(peer.command("add", a=1, b=1, ttl_ms=0)))[0] is Outcome.EXPIRED


async def test_cancelled_it_stops() -> None:
    async with session() as peer:
        drive = peer.command("drive", ms=5000)
        await peer.started(drive)
        peer.cancel(drive)
        assert (await peer.result(drive))[0] is Outcome.CANCELLED
        assert await peer.do("power") == {"on": False}


@pytest.mark.parametrize(
    "count", [40, pytest.param(1500, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
async def test_over_a_bad_line_each_command_is_executed_once(count: int) -> None:
    line = FaultyLine(11, Faults())
    async with session(line) as peer:
        line.faults.drop = line.faults.flip = 0.002
        line.faults.lose = line.faults.duplicate = 0.05
        for number in range(count):
            assert await peer.do("add", a=number, b=number) == {"sum": 2 * number}
        assert all(line.fired[fault] for fault in ("drop", "flip", "lose", "duplicate")), line.fired


async def test_what_overflows_its_uart_is_lost_and_the_link_makes_it_good() -> None:
    async with session() as peer:
        peer.raw(bytes(range(1, 256)) * 8)
        assert await peer.do("add", a=1, b=1) == {"sum": 2}


async def test_at_the_speed_of_a_real_line() -> None:
    async with session(PacedLine(115_200)) as peer:
        assert await peer.do("add", a=1, b=1) == {"sum": 2}


async def test_control_c_twice_gives_the_prompt() -> None:
    async with Microbit(tiny.files()) as board:
        with serial.Serial(board.port, timeout=5) as port:
            await asyncio.to_thread(port.read_until, b"tiny")
            await asyncio.sleep(0.1)
            port.write(b"\x03\x03")
            assert (await asyncio.to_thread(port.read_until, b">>> ")).endswith(b">>> ")


def test_a_wrong_dictionary_does_not_reach_the_board(tmp_path: Path) -> None:
    (tmp_path / "robot.py").write_text("")
    (tmp_path / "dictionary.json").write_text('{"name": "robot", "commands": [{"name": "Bad Name"}]}')
    with pytest.raises(DictionaryError):
        tiny.files(tmp_path)
