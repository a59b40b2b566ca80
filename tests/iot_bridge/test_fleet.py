"""Boards found by themselves: which ports are opened for them, and what each one is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from boardtalk.hil.firmware import example
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.errors import SessionLost
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.frames import Type
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.broker import Broker
from boardtalk.modules.iot_bridge.service.fleet import Fleet
from boardtalk.modules.iot_bridge.transports import discovery
from tests.iot_bridge.fake_board import BATTERY, FakeBoard

PICO = (0x2E8A, 0x0005)
ROVER = api.WantedBoard(name="rover")
INTERRUPTED = b"""\
import os
if "interrupt" in os.listdir():
    os.remove("interrupt")
    raise KeyboardInterrupt
"""
"""What a 0x03 does that is in a frame of a session which the board's reset has ended."""
SILENT = b"""\
import os, time
if "interrupt" in os.listdir():
    os.remove("interrupt")
    began = time.time()
    while True:
        try:
            time.sleep(0.1)
        except KeyboardInterrupt:
            if time.time() > began + 5:
                raise
"""
"""What a 0x01 does behind that: the raw prompt does not say what is typed there."""


class Ended(Exception):
    """The test has seen what it wanted."""


class Usb:
    """What is plugged in, as pyserial lists it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ports: list[ListPortInfo] = []
        self.failures = 0
        """So often the list fails, as when a device vanishes while it is made."""
        monkeypatch.setattr(list_ports, "comports", self._list)

    def plug(self, board: FakeBoard, usb: tuple[int, int] = PICO) -> None:
        port = ListPortInfo(board.port)
        port.vid, port.pid = usb
        self.ports.append(port)

    def _list(self) -> list[ListPortInfo]:
        if self.failures:
            self.failures -= 1
            raise TypeError("int() argument must be a string, not 'NoneType'")
        return list(self.ports)


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> Usb:
    return Usb(monkeypatch)


@asynccontextmanager
async def fleet(folder: Path, *boards: api.WantedBoard, adopt_all: bool = False) -> AsyncIterator[Fleet]:
    try:
        async with asyncio.TaskGroup() as tasks:
            fleet = Fleet(folder, Feed(), tasks, Broker(folder))
            fleet.configure(api.Attach(boards=boards, adopt_all=adopt_all, usb=(PICO,)))
            yield fleet
            raise Ended
    except* Ended:
        pass


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def states(fleet: Fleet) -> dict[str, tuple[str, str]]:
    """Name and state of the boards that were met, by uid."""
    return {board.uid: (board.name, board.state) for board in fleet.describe() if board.uid}


async def test_only_listed_usb_devices_are_opened(usb: Usb, tmp_path: Path) -> None:
    async with FakeBoard("aa01") as listed, FakeBoard("bb02") as other:
        usb.plug(listed)
        usb.plug(other, (0x1234, 0x5678))
        async with fleet(tmp_path, adopt_all=True) as boards:
            await until(lambda: states(boards) == {"aa01": ("rover", "ready")})
        assert listed.asked
        assert not other.link.is_open


async def test_of_two_boards_of_one_name_the_second_waits_for_adoption(usb: Usb, tmp_path: Path) -> None:
    async with FakeBoard("aa01") as one, FakeBoard("bb02") as two:
        usb.plug(one)
        usb.plug(two)
        async with fleet(tmp_path, ROVER) as boards:
            await until(lambda: len(states(boards)) == 2)
            assert sorted(states(boards).values()) == [("", "waiting"), ("rover", "ready")]


@pytest.mark.parametrize("block", [None, api.WantedBoard(name="rover", uid="AA01")])
async def test_c08_a_board_that_was_stopped_before_it_came_is_stopped_when_it_comes(
    usb: Usb, tmp_path: Path, block: api.WantedBoard | None
) -> None:
    """Also if the link process ends in between: it goes by the board's uid."""
    wanted = [block] if block else []
    async with FakeBoard("aa01") as board:
        if not block:
            usb.plug(board)
            async with fleet(tmp_path) as boards:
                await until(lambda: "aa01" in states(boards))
                boards.adopt("aa01", "rover")
                await boards.save()
            usb.ports.clear()
        async with fleet(tmp_path, *wanted) as boards:
            (answer,) = await boards.stop(())
            assert (answer.board, answer.confirmed) == ("rover", False)
            await boards.save()
        usb.plug(board)
        async with fleet(tmp_path, *wanted) as boards:
            await until(lambda: states(boards).get("aa01") == ("rover", "latched"))
        assert board.latched


async def test_a_device_that_vanishes_while_ports_are_listed_is_no_matter(usb: Usb, tmp_path: Path) -> None:
    async with FakeBoard("aa01") as board:
        usb.plug(board)
        usb.failures = 1
        async with fleet(tmp_path, ROVER) as boards:
            await until(lambda: states(boards) == {"aa01": ("rover", "ready")})


async def test_c12_a_board_that_changes_its_port_keeps_its_address(
    usb: Usb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block names another port: the uid counts."""
    monkeypatch.setattr(discovery, "DEVICES", tmp_path)
    async with FakeBoard("aa01", link_to=tmp_path / "ttyUSB0") as board:
        wanted = api.WantedBoard(name="truck", uid="aa01", port=board.port)
        async with fleet(tmp_path / "state", wanted) as boards:
            await until(lambda: states(boards) == {"aa01": ("truck", "ready")})
            board.unplug()
            await until(lambda: states(boards) == {"aa01": ("truck", "offline")})
            board.move(tmp_path / "ttyUSB1")
            usb.plug(board)
            board.plug()
            await until(lambda: states(boards) == {"aa01": ("truck", "ready")})
            assert boards["truck"].port == str(tmp_path / "ttyUSB1")


async def test_c12_boards_in_each_others_ports_are_refused_with_the_names_that_they_have_here(
    usb: Usb, tmp_path: Path
) -> None:
    async with FakeBoard("aa01") as one, FakeBoard("bb02") as two:
        blocks = (
            api.WantedBoard(name="truck", uid="aa01", port=two.port),
            api.WantedBoard(name="crane", uid="bb02", port=one.port),
        )
        async with fleet(tmp_path, *blocks) as boards:
            await until(lambda: all(board.detail != "not seen yet" for board in boards.describe()))
            told = {board.name: board.detail for board in boards.describe()}
            assert "board bb02 (crane) is there instead of aa01" in told["truck"]
            assert "board aa01 (truck) is there instead of bb02" in told["crane"]
            assert not one.executed + two.executed


async def test_of_two_boards_with_one_unique_id_the_second_is_left_alone_while_the_first_is_there(
    usb: Usb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have copied flash. The second one would be taken for the first each time that this restarts."""
    monkeypatch.setattr("boardtalk.modules.iot_bridge.service.slot.HOPELESS_S", 0.01)
    monkeypatch.setattr(discovery, "DEVICES", tmp_path)
    first, second = (FakeBoard("aa01", link_to=tmp_path / name) for name in ("ttyACM0", "ttyACM1"))
    usb.plug(first)
    usb.plug(second)
    async with first, fleet(tmp_path / "state", api.WantedBoard(name="truck", uid="aa01")) as boards:
        await until(lambda: states(boards) == {"aa01": ("truck", "ready")})
        async with second:
            await until(lambda: any("aa01" in port.detail for port in boards.unmet()))
            [told] = boards.unmet()
            assert told.port == second.port
            assert f"board aa01 is connected at {first.port} already" in told.detail
            for id_ in range(1, 6):
                first.restart()
                await until(lambda: boards["truck"].met.hello.boot == first.boot)  # type: ignore[union-attr]
                await until(boards["truck"].ready.is_set)
                boards["truck"].orders.begin(api.Command(board="truck", id=id_, index=BATTERY, ttl_ms=1000))
                await until(lambda: first.executed[-1:] == [id_])  # noqa: B023
            assert not second.executed
            first.unplug()
            await until(lambda: boards["truck"].port == second.port and boards["truck"].ready.is_set())


async def test_a_board_that_changes_its_port_in_the_middle_of_a_transfer_gets_nothing_of_it_there(
    usb: Usb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends is told, and begins anew."""
    monkeypatch.setattr(discovery, "DEVICES", tmp_path)
    async with FakeBoard("aa01", link_to=tmp_path / "ttyUSB0") as board:
        wanted = api.WantedBoard(name="truck", uid="aa01", port=board.port)
        async with fleet(tmp_path / "state", wanted) as boards:
            truck = boards["truck"]
            await until(truck.ready.is_set)
            assert truck.device
            await truck.device.update(b"", b"the first half")
            board.deaf = True
            transfer = asyncio.create_task(truck.device.update(b"", bytes(10_000)))
            await asyncio.sleep(0.05)
            assert not transfer.done()
            board.unplug()
            board.move(tmp_path / "ttyUSB1")
            board.deaf = False
            usb.plug(board)
            board.plug(restarted=False)
            with pytest.raises(SessionLost, match="vanished"):
                await transfer
            board.asked.clear()
            await until(lambda: truck.ready.is_set() and truck.port == str(tmp_path / "ttyUSB1"))
            await truck.device.update(b"", b"begun anew")
            assert [each.payload for each in board.asked if each.type == Type.OTA_DATA] == [b"begun anew"]


async def test_the_line_of_a_board_that_has_not_answered_yet_can_be_lent(tmp_path: Path) -> None:
    """Who starts the gateway and flashes the board at once need not know that it was to be met first."""
    async with FakeBoard("aa01") as board:
        board.deaf = True
        async with fleet(tmp_path, api.WantedBoard(name="rover", port=board.port)) as boards:
            assert [each.port for each in boards.describe()] == [board.port]
            slot, lent = await boards.lend("rover", "a test")
            assert lent.port == board.port
            assert slot is not None
            assert slot.lent == "a test"


@pytest.mark.parametrize("code", [INTERRUPTED, SILENT], ids=["at its prompt", "silent"])
async def test_a_board_that_does_not_become_the_client_after_a_reset_is_started_again(
    tmp_path: Path, code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.modules.iot_bridge.service.slot.PATIENCE_S", (3.0,))
    async with MicroPythonBoard(example("rover")) as board:
        async with fleet(tmp_path, api.WantedBoard(name="rover", port=board.port)) as boards:

            def start() -> int:
                """The nonce of the board's start; 0: it is not there."""
                (rover,) = boards.describe()
                return rover.boot if rover.state == api.BoardState.READY else 0

            await until(lambda: start() != 0)
            before = start()
            board.files.write("main.py", code + board.files.read("main.py"))
            board.files.write("interrupt", b"")
            await board.reset()
            # once more if a 0x03 in a frame of the session ended its start before `code` began
            await until(lambda: start() not in {0, before}, within_s=30.0)
        assert "interrupt" not in board.files.names()
