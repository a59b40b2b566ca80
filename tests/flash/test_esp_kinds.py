"""The definitions that come with boardtalk, on emulated chips of each kind, with the real esptool."""

from __future__ import annotations

import functools
import operator
import struct
from pathlib import Path

import pytest

from boardtalk.flash.errors import Code
from boardtalk.hil.loaders.esp import EspBoard
from tests.flash.bench import Bench
from tests.hil.flashing import payload

KINDS = {"esp32": 0, "esp32-c3": 5, "esp32-s3": 9}
MIB = 1 << 20


def esp8266_image(size: int) -> bytes:
    """Without ids, and for a flash of 512 kB, as its makers' tools leave it."""
    content = payload(size)
    image = struct.pack("<BBBBI", 0xE9, 1, 2, 0x00, 0x40100000)
    image += struct.pack("<II", 0x40100000, len(content)) + content
    checksum = functools.reduce(operator.xor, content, 0xEF)
    return image + bytes(15 - len(image) % 16) + bytes((checksum,))


def image(bench: Bench, kind: str, size: int = 80_000) -> Path:
    if kind != "esp8266":
        return bench.image(size, KINDS[kind])
    path = bench.folder / "esp8266.bin"
    path.write_bytes(esp8266_image(size))
    return path


@pytest.mark.parametrize("kind", ["esp8266", "esp32-s3", pytest.param("esp32", marks=pytest.mark.soak)])
async def test_a_kind_is_written_verified_and_erased(bench: Bench, kind: str) -> None:
    firmware = image(bench, kind)
    offset = 0x1000 if kind == "esp32" else 0
    async with EspBoard(kind.replace("-", ""), flash_bytes=MIB, content=b"old" * 100_000) as board:
        told = await bench.do("write", board.port, firmware, kind)
        assert told.end.ok, told.end
        assert told.end.id
        assert f"{kind.replace('-', '')}, {told.end.id}, 1024 kB" in told.steps("match")[0]
        written = bytes(board.flash)[offset:][: firmware.stat().st_size]
        expected = bytearray(firmware.read_bytes())
        if kind == "esp8266":
            expected[3] = 0x20  # 1 MB, as was probed: with the file's 512 kB some of these do not start
        assert written == expected
        await board.power_on()
        assert (await bench.do("verify", board.port, firmware, kind)).end.ok
        await board.power_on()
        assert (await bench.do("erase", board.port, None, kind)).end.ok
        assert bytes(board.flash) == b"\xff" * MIB


@pytest.mark.parametrize(("there", "named"), [("esp8266", "esp32-s3"), ("esp32s3", "esp8266")])
async def test_one_kind_is_not_taken_for_another(bench: Bench, there: str, named: str) -> None:
    async with EspBoard(there, flash_bytes=MIB, content=b"precious" * 1000) as board:
        before = bytes(board.flash)
        told = await bench.do("write", board.port, image(bench, named), named, erase=True)
        assert told.end.code is Code.WRONG_CHIP
        assert f"there is a {there}, and not " in told.end.reason
        assert bytes(board.flash) == before


async def test_firmware_for_one_kind_is_not_taken_for_another_kinds(bench: Bench) -> None:
    async with EspBoard("esp32s3") as board:
        told = await bench.do("write", board.port, image(bench, "esp32-c3"), "esp32-s3")
        assert told.end.code is Code.BAD_IMAGE
        assert "this is firmware for esp32c3, and the board has esp32s3" in told.end.reason
        assert board.events.named("sync") == []


@pytest.mark.parametrize("kind", ["esp8266", "esp32-s3"])
@pytest.mark.soak
async def test_a_kind_that_lost_its_power_is_gone_on_with(bench: Bench, kind: str) -> None:
    firmware = image(bench, kind, 200_000)
    async with EspBoard(kind.replace("-", ""), flash_bytes=MIB) as board:
        board.flash.faults.power_loss_after = 100_000
        told = await bench.do("write", board.port, firmware, kind)
        assert (told.end.ok, told.end.code) == (False, Code.LINK)
        await board.power_on()
        told = await bench.do("write", board.port, firmware, kind)
        assert told.end.ok, told.end
        assert told.end.written == firmware.stat().st_size - 65536
        assert bytes(board.flash)[4 : firmware.stat().st_size] == firmware.read_bytes()[4:]
