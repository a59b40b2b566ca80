"""Emulated STM32 boards in their system loader, as unmodified stm32loader finds them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import serial

from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.loaders.network import TcpWire
from boardtalk.hil.loaders.stm32 import ACK, CHIPS, NACK, UID, Command, Stm32Board
from boardtalk.hil.loaders.wire import PtyWire
from tests.hil.flashing import Ended, payload, run

FAMILY = {"stm32f103": "F1", "stm32f405": "F4"}
KINDS = sorted(CHIPS)
ERASED = b"\xff"

WITHOUT_CONTROL_LINES = """
import sys
import serial

class Wireless(serial.Serial):
    def __init__(self, timeout, **settings): super().__init__(timeout=1, **settings)
    def setRTS(self, level): pass
    def setDTR(self, level): pass

serial.Serial = Wireless
from stm32loader.main import main
main(*sys.argv[1:])
"""
"""A pseudo-terminal has none, and stm32loader insists on them. It has no parity either: hence `-P none`.
And nobody needs five seconds to see that a board is silent."""


async def stm32loader(board: Stm32Board, kind: str, *arguments: str) -> Ended:
    options = ("-p", board.port, "-f", FAMILY[kind], "-P", "none", "-n", *arguments)
    return await run(sys.executable, "-c", WITHOUT_CONTROL_LINES, *options)


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    file = tmp_path / "firmware.bin"
    file.write_bytes(payload(20_000))
    return file


def written(board: Stm32Board, file: Path) -> bool:
    content = file.read_bytes()
    return bytes(board.flash) == content + ERASED * (len(board.flash) - len(content))


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_erased_written_verified_and_read(kind: str, firmware: Path, tmp_path: Path) -> None:
    size = CHIPS[kind].size
    async with Stm32Board(kind, content=payload(size, seed=2)) as board:
        ended = await stm32loader(board, kind, "-e", "-w", "-v", str(firmware))
        assert ended.code == 0, ended.said
        assert f"Chip id: {CHIPS[kind].product_id:#x}" in ended.said
        assert f"Flash size: {size // 1024} KiB" in ended.said
        assert f"{UID[1]:02X}{UID[0]:02X}-" in ended.said
        assert "Verification OK" in ended.said
        assert written(board, firmware)

        back = tmp_path / "back.bin"
        await board.power_on()
        ended = await stm32loader(board, kind, "-r", "-a", "0x08000000", "-l", "1000", str(back))
        assert ended.code == 0, ended.said
        assert back.read_bytes() == firmware.read_bytes()[:1000]


async def test_some_pages_are_erased_and_a_program_is_started(firmware: Path) -> None:
    before = payload(CHIPS["stm32f103"].size, seed=2)
    async with Stm32Board("stm32f103", content=before) as board:
        region = ("-a", "0x400", "-l", "0x800")  # it counts pages from 0
        ended = await stm32loader(board, "stm32f103", "-e", *region, "-g", "0x08000000")
        assert ended.code == 0, ended.said
        assert bytes(board.flash) == before[:0x400] + ERASED * 0x800 + before[0xC00:]
        assert [event.what for event in board.events.all][-2:] == ["go", "boot"]


async def test_what_was_not_erased_is_not_written(firmware: Path) -> None:
    async with Stm32Board("stm32f405", content=bytes(20_000)) as board:
        ended = await stm32loader(board, "stm32f405", "-w", "-v", str(firmware))
        assert ended.code != 0
        assert "Verification FAILED" in ended.said
        assert board.flash.read(0, 20_000) == bytes(20_000)


# What goes wrong -----------------------------------------------------------------------------------


async def test_what_is_refused_ends_it(firmware: Path) -> None:
    async with Stm32Board("stm32f103") as board:
        board.faults.refuse[Command.WRITE] = 1
        ended = await stm32loader(board, "stm32f103", "-w", str(firmware))
        assert ended.code != 0
        assert "NACK" in ended.said
        assert board.fired["WRITE refused"] == 1
        assert board.flash.written == 0


async def test_a_board_that_is_protected_against_reading_does_neither(firmware: Path) -> None:
    async with Stm32Board("stm32f405") as board:
        board.faults.read_protected = True
        ended = await stm32loader(board, "stm32f405", "-e", "-w", str(firmware))
        assert ended.code != 0
        assert "readout protection" in ended.said
        assert board.fired["read protected"]
        assert board.flash.written == 0


async def test_a_weak_bit_is_found_by_verifying(firmware: Path) -> None:
    async with Stm32Board("stm32f103") as board:
        board.flash.faults.weak = {7_777}
        ended = await stm32loader(board, "stm32f103", "-e", "-w", "-v", str(firmware))
        assert ended.code != 0
        assert f"First mismatch at address: {7_777:#X}".replace("X", "x", 1) in ended.said
        assert not written(board, firmware)


async def test_power_lost_in_the_middle_and_another_run_completes(firmware: Path) -> None:
    async with Stm32Board("stm32f103") as board:
        board.flash.faults.power_loss_after = 10_001
        assert (await stm32loader(board, "stm32f103", "-e", "-w", str(firmware))).code != 0
        assert board.flash.read(0, 10_002) == firmware.read_bytes()[:10_001] + ERASED
        await board.power_on()
        assert (await stm32loader(board, "stm32f103", "-e", "-w", "-v", str(firmware))).code == 0
        assert written(board, firmware)


@pytest.mark.parametrize("faults", [Faults(drop=4e-4), Faults(flip=4e-4)], ids=["drop", "flip"])
async def test_noise_on_the_line_never_passes_for_success(faults: Faults, firmware: Path) -> None:
    line = FaultyLine(5, faults)
    async with Stm32Board("stm32f103", PtyWire(line)) as board:
        ended = await stm32loader(board, "stm32f103", "-e", "-w", "-v", str(firmware))
        assert sum(line.fired.values()), "else this shows nothing"
        assert ended.code != 0 or written(board, firmware)


async def test_over_tcp_and_byte_by_byte() -> None:
    """Our own few bytes, since stm32loader opens no URLs: sync, id, no command, write, wrong address."""

    def talk(port: str) -> bytes:
        with serial.serial_for_url(port, timeout=2) as line:
            for byte in b"\x7f" + b"\x02\xfd" + b"\x12\x34" + b"\x31\xce" + b"\x08\x00\x00\x00\x09":
                line.write(bytes((byte,)))
            return bytes(line.read(9))

    async with Stm32Board("stm32f103", TcpWire()) as board:
        assert await asyncio.to_thread(talk, board.port) == (
            ACK + ACK + b"\x01\x04\x10" + ACK + NACK + ACK + NACK
        )
