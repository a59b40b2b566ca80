"""Boards whose loader is a drive: emulated UF2 drives, and a folder that does what a DAPLink drive does."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boardtalk.flash.errors import Code
from boardtalk.hil.loaders.uf2 import CHIPS, Uf2Drive
from boardtalk.sdk.tasks import cancel_and_wait
from tests.flash.bench import Bench
from tests.hil.flashing import payload

RP2040, RP2350 = CHIPS["rp2040"].family, CHIPS["rp2350"].family
FLASH_AT = 0x10000000
HEX = b":10000000000102030405060708090A0B0C0D0E0F78\n:00000001FF\n"


def uf2(data: bytes, family: int = RP2040) -> bytes:
    """A file of blocks of 256 bytes."""
    total = -(-len(data) // 256)
    blocks = []
    for number in range(total):
        piece = data[number * 256 :][:256].ljust(256, b"\0")
        at = FLASH_AT + number * 256
        head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, at, 256, number, total, family)
        blocks.append(head + piece.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)


@pytest.mark.parametrize(("kind", "board"), [("rp2040", "pico"), ("rp2350", "pico2")])
async def test_a_drive_takes_firmware_and_vanishes(bench: Bench, kind: str, board: str) -> None:
    data = payload(100_000)
    image = bench.file(uf2(data, CHIPS[kind].family), "firmware.uf2")
    async with Uf2Drive(kind) as drive:
        told = await bench.do("plan", str(drive.folder), image, board)
        assert told.end.note.startswith(f"all of {image.stat().st_size} bytes would be written")
        assert drive.flash.written == 0
        told = await bench.do("write", str(drive.folder), image, board)
        assert told.end.ok, told.end
        assert bytes(drive.flash)[: len(data)] == data
        assert not drive.mounted


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda data: data[:-512], "99 blocks are there of 100"),
        (lambda data: data[:-100], "no whole number of blocks"),
        (lambda data: data[:5120] + data[5632:], "99 blocks are there of 100"),
        (lambda data: data[:512] + b"X" + data[513:], "the block at 0x200 is none"),
        (lambda _: uf2(payload(25_600), RP2350), "firmware for the family 0xe48bff59"),
        (lambda _: b"", "no whole number of blocks"),
    ],
)
async def test_what_the_loader_would_ignore_in_silence_is_refused(bench: Bench, harm, says: str) -> None:  # type: ignore[no-untyped-def]
    image = bench.file(harm(uf2(payload(25_600))), "firmware.uf2")
    async with Uf2Drive() as drive:
        told = await bench.do("write", str(drive.folder), image, "pico")
        assert told.end.code is Code.BAD_IMAGE
        assert says in told.end.reason
        assert drive.flash.written == 0


async def test_a_drive_of_another_kind_is_seen_before_anything_is_copied(bench: Bench) -> None:
    image = bench.file(uf2(payload(25_600)), "firmware.uf2")
    async with Uf2Drive("rp2350") as drive:
        told = await bench.do("write", str(drive.folder), image, "pico")
        assert told.end.code is Code.WRONG_CHIP
        assert "there is a RP2350" in told.end.reason
        assert drive.events.named("ignored") == []


async def test_a_drive_that_vanishes_too_early_is_no_success(bench: Bench) -> None:
    image = bench.file(uf2(payload(700_000)), "firmware.uf2")
    async with Uf2Drive() as drive:
        drive.flash.faults.power_loss_after = 10_000
        told = await bench.do("write", str(drive.folder), image, "pico")
        assert drive.flash.fired["power loss"] == 1
        assert (told.end.ok, told.end.code) == (False, Code.LINK)
        assert "vanished after" in told.end.reason
        drive.power_on()
        told = await bench.do("write", str(drive.folder), image, "pico")
        assert told.end.ok, told.end
        assert bytes(drive.flash)[:700_000] == payload(700_000)


async def test_what_can_not_be_read_can_not_be_verified_nor_saved(bench: Bench) -> None:
    image = bench.file(uf2(payload(25_600)), "firmware.uf2")
    async with Uf2Drive() as drive:
        for what in ("verify", "erase"):
            told = await bench.do(what, str(drive.folder), image if what == "verify" else None, "pico")  # type: ignore[arg-type]
            assert told.end.code is Code.UNSUPPORTED
        told = await bench.do("write", str(drive.folder), image, "pico", backup=True)
        assert told.end.code is Code.UNSUPPORTED
        assert drive.flash.written == 0


async def test_one_folder_is_for_one_flasher(bench: Bench) -> None:
    image = bench.file(uf2(payload(200_000)), "firmware.uf2")
    async with Uf2Drive() as drive:
        jobs = [bench.job("write", port, image, "pico") for port in (f"{drive.folder}", f"{drive.folder}/")]
        told = await bench.all(jobs)
        assert sorted(each.end.ok for each in told) == [False, True]
        assert [each.end.code for each in told if not each.end.ok] == [Code.PORT_BUSY]


# DAPLink ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def daplink(folder: Path, failure: str = "") -> AsyncIterator[Path]:
    """A mock: a folder that goes when a whole HEX file is in it, and comes back; not a real DAPLink."""
    drive = folder / "MICROBIT"

    def mount() -> None:
        drive.mkdir()
        (drive / "DETAILS.TXT").write_text("# DAPLink Firmware\nUnique ID: 9900000031864e45\nVersion: 0255\n")

    async def serve() -> None:
        taken = drive / "firmware.hex"
        while not (taken.exists() and taken.read_bytes().endswith(b":00000001FF\n")):
            await asyncio.sleep(0.02)
        drive.rename(folder / "taken")
        await asyncio.sleep(0.3)
        mount()
        if failure:
            (drive / "FAIL.TXT").write_text(f"error: {failure}\r\n")

    mount()
    serving = asyncio.create_task(serve())
    yield drive
    await cancel_and_wait(serving)


async def test_a_micro_bit_takes_a_hex_file(bench: Bench) -> None:
    image = bench.file(HEX, "micropython.hex")
    async with daplink(bench.folder) as drive:
        told = await bench.do("write", str(drive), image, "microbit")
        assert told.end.ok, told.end
        assert told.end.id == "9900000031864e45"
    assert (bench.folder / "taken" / "firmware.hex").read_bytes() == HEX


async def test_what_the_debugger_says_of_a_failure_is_said(bench: Bench) -> None:
    image = bench.file(HEX, "micropython.hex")
    async with daplink(bench.folder, "The interface firmware ABORTED programming") as drive:
        told = await bench.do("write", str(drive), image, "microbit")
        assert told.end.code is Code.VERIFY
        assert "ABORTED programming" in told.end.reason


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HEX.replace(b":00000001FF\n", b""), "its last line is missing"),
        (HEX.replace(b"0F78", b"0F79"), "line 1 is no line of an Intel HEX file"),
        (b"\x7fELF", "line 1 is no line of an Intel HEX file"),
    ],
)
async def test_a_damaged_hex_file_is_refused(bench: Bench, data: bytes, says: str) -> None:
    async with daplink(bench.folder) as drive:
        told = await bench.do("write", str(drive), bench.file(data, "micropython.hex"), "microbit")
        assert (told.end.code, says in told.end.reason) == (Code.BAD_IMAGE, True)
        assert sorted(each.name for each in drive.iterdir()) == ["DETAILS.TXT"]
