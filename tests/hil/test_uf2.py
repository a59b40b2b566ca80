"""Emulated UF2 drives, as `cp` and whoever else copies files find them."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from boardtalk.hil.loaders.uf2 import CHIPS, Uf2Drive
from tests.hil.flashing import payload, run

RP2040 = CHIPS["rp2040"]
ERASED = b"\xff"


def blocks(content: bytes, *, family: int = RP2040.family, flags: int = 0x2000, at: int = 0) -> list[bytes]:
    pages = [content[start : start + 256].ljust(256, b"\0") for start in range(0, len(content), 256)]
    return [
        struct.pack(
            "<8I476sI",
            0x0A324655,
            0x9E5D5157,
            flags,
            RP2040.flash_at + at + number * 256,
            256,
            number,
            len(pages),
            family,
            page,
            0x0AB16F30,
        )
        for number, page in enumerate(pages)
    ]


CONTENT = payload(256 * 600)
FILE = b"".join(blocks(CONTENT))


async def copy(drive: Uf2Drive, content: bytes, name: str = "firmware.uf2") -> None:
    source = drive.folder.parent / "source"
    source.write_bytes(content)
    assert (await run("cp", str(source), str(drive.folder / name))).code == 0


def flashed(drive: Uf2Drive, content: bytes = CONTENT) -> bool:
    return bytes(drive.flash) == content + ERASED * (len(drive.flash) - len(content))


@pytest.mark.parametrize("kind", sorted(CHIPS))
async def test_it_says_which_board_it_is(kind: str) -> None:
    async with Uf2Drive(kind) as drive:
        info = (drive.folder / "INFO_UF2.TXT").read_text()
        assert f"Board-ID: {drive.folder.name}" in info
        assert (drive.folder / "INDEX.HTM").exists()
    assert not drive.folder.parent.exists()


@pytest.mark.parametrize("name", ["firmware.uf2", "CURRENT.UF2", "whatever"])
async def test_a_copied_file_is_on_the_flash_and_the_drive_is_gone(name: str) -> None:
    async with Uf2Drive() as drive:
        await copy(drive, FILE, name)
        await drive.events.until("unmounted")
        assert flashed(drive)
        assert not drive.mounted


async def test_blocks_may_come_in_any_order_and_twice() -> None:
    mixed = blocks(CONTENT) * 2
    random.Random(3).shuffle(mixed)
    async with Uf2Drive() as drive:
        await copy(drive, b"".join(mixed))
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_only_the_sectors_that_are_written_are_erased() -> None:
    before = payload(2 << 20, seed=2)
    async with Uf2Drive(content=before) as drive:
        await copy(drive, b"".join(blocks(CONTENT[:4096], at=8192)))
        await drive.events.until("flashed")
        assert bytes(drive.flash) == before[:8192] + CONTENT[:4096] + before[12288:]


def wrong() -> Iterator[tuple[str, bytes, str]]:
    yield "another family", b"".join(blocks(CONTENT, family=CHIPS["rp2350"].family)), "family 0xe48bff59"
    yield "no family", b"".join(blocks(CONTENT, flags=0)), "family"
    yield "not for the flash", b"".join(blocks(CONTENT, flags=0x2001)), "no block for the flash"
    yield "no blocks", b"this is no firmware".ljust(1024), "no block for the flash"
    yield "beyond the flash", b"".join(blocks(CONTENT, at=2 << 20)), "there are 0x200000"
    numbers = bytearray(blocks(CONTENT)[5])
    numbers[20:24] = (600).to_bytes(4, "little")
    yield "a number too high", bytes(numbers), "block 600 of 600"


@pytest.mark.parametrize(
    ("content", "why"), [each[1:] for each in wrong()], ids=[each[0] for each in wrong()]
)
async def test_what_is_not_for_it_is_ignored_without_a_word(content: bytes, why: str) -> None:
    async with Uf2Drive() as drive:
        await copy(drive, content)
        assert why in (await drive.events.until("ignored")).detail
        assert drive.mounted
        assert drive.flash.written == 0
        await copy(drive, FILE, "right.uf2")
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_half_a_copy_waits_for_the_rest() -> None:
    async with Uf2Drive() as drive:
        await copy(drive, FILE[: 512 * 100 + 77])
        await drive.events.until("write")
        assert drive.mounted
        assert not drive.events.named("flashed")
        await copy(drive, FILE)
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_a_missing_block_is_noticed() -> None:
    gap = blocks(CONTENT)
    last = gap.pop(300)
    async with Uf2Drive() as drive:
        await copy(drive, b"".join(gap))
        await drive.events.until("write")
        assert drive.mounted
        await copy(drive, last, "last")
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_a_file_that_grows_piece_by_piece() -> None:
    async with Uf2Drive() as drive:
        with (drive.folder / "slow.uf2").open("wb") as file:
            os.truncate(file.fileno(), len(FILE))  # some tools make room first
            for at in range(0, len(FILE), 100_000):
                file.write(FILE[at : at + 100_000])
                file.flush()
                await drive.events.until("write") if at == 0 else None
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_another_file_under_the_same_name_begins_anew() -> None:
    other = payload(256 * 600, seed=5)
    async with Uf2Drive() as drive:
        await copy(drive, FILE[: 512 * 100])
        await drive.events.until("write")
        await copy(drive, b"".join(blocks(other)))
        await drive.events.until("flashed")
        since = 256 * 112  # the sectors before it were erased for the first file
        assert bytes(drive.flash)[since : len(other)] == other[since:]


async def test_power_lost_after_some_blocks_and_another_copy_completes() -> None:
    async with Uf2Drive() as drive:
        drive.flash.faults.power_loss_after = 256 * 200
        await copy(drive, FILE)
        await drive.events.until("power lost")
        assert not drive.mounted
        assert flashed(drive, CONTENT[: 256 * 200])
        drive.power_on()
        await copy(drive, FILE)
        await drive.events.until("flashed")
        assert flashed(drive)


async def test_it_may_vanish_at_once(tmp_path: Path) -> None:
    async with Uf2Drive(linger_s=0) as drive:
        with (drive.folder / "firmware.uf2").open("wb", buffering=0) as file:
            file.write(FILE)
            await drive.events.until("unmounted")
            file.write(b"still open")
        assert flashed(drive)
