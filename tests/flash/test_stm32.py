"""STM32 boards, emulated, in their system loader at a UART."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from boardtalk.flash.errors import Code
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.loaders.stm32 import UID, Command, Stm32Board
from boardtalk.hil.loaders.wire import PtyWire
from tests.flash.bench import Bench, content
from tests.hil.flashing import payload

F405 = "emulated-stm32f405"


def program(bench: Bench, size: int = 40_000) -> Path:
    """What begins as a program does: its stack, its first instruction."""
    path = bench.folder / "firmware.bin"
    path.write_bytes((0x20020000).to_bytes(4, "little") + (0x08000101).to_bytes(4, "little") + payload(size))
    return path


async def test_an_image_is_written_by_sectors_verified_and_started(bench: Bench) -> None:
    image = program(bench)
    async with Stm32Board(content=payload(200_000, seed=3)) as board:
        told = await bench.do("write", board.port, image, F405)
        assert told.end.ok, told.end
        assert content(board, image)
        assert board.events.named("erase") == ["sectors [0]", "sectors [1]", "sectors [2]"]
        assert bytes(board.flash)[3 * 16384 : 200_000] == payload(200_000, seed=3)[3 * 16384 :]
        assert board.events.named("boot")[-1] == "app"
        await board.power_on()
        told = await bench.do("verify", board.port, image, F405)
        assert told.end.note == f"all of {image.stat().st_size} bytes are on it"


@pytest.mark.parametrize(("kind", "size"), [("stm32f405", "1024 kB"), ("stm32f103", "128 kB")])
async def test_the_loader_tells_chip_unique_id_and_size(bench: Bench, kind: str, size: str) -> None:
    async with Stm32Board(kind) as board:
        job = bench.job("probe", board.port, None, F405)
        [known] = job.boards
        like = msgspec.structs.replace(known, definition=msgspec.structs.replace(known.definition, mcu=kind))
        [told] = await bench.all([replace(job, boards=[like])])
        assert (told.end.id, told.end.note) == (UID.hex(), f"{kind}, {UID.hex()}, {size}")


async def test_the_older_erase_command_is_used_where_there_is_no_other(bench: Bench) -> None:
    image = program(bench, 5_000)
    folder = bench.folder / "boards"
    folder.mkdir()
    text = Path(__file__).parents[2].joinpath("boards", f"{F405}.toml").read_text()
    text = text.replace('"stm32f405"\nport', '"stm32f103"\nport').replace("[16, 16, 16, 16, 64, 128]", "[1]")
    (bench.folder / "config/boardtalk/boards").mkdir(parents=True)
    (bench.folder / "config/boardtalk/boards/f103.toml").write_text(text)
    async with Stm32Board("stm32f103") as board:
        told = await bench.do("write", board.port, image, "f103")
        assert told.end.ok, told.end
        assert content(board, image)


async def test_another_chip_is_left_alone(bench: Bench) -> None:
    async with Stm32Board("stm32f103") as board:
        told = await bench.do("write", board.port, program(bench), F405)
        assert told.end.code is Code.WRONG_CHIP
        assert "there is a stm32f103" in told.end.reason
        assert board.flash.written == 0


async def test_what_does_not_begin_as_a_program_is_refused(bench: Bench) -> None:
    image = bench.folder / "text.bin"
    image.write_bytes(b"this is no program at all")
    async with Stm32Board() as board:
        told = await bench.do("write", board.port, image, F405)
        assert told.end.code is Code.BAD_IMAGE
        assert board.events.named("sync") == []


async def test_a_loss_of_power_is_gone_on_with(bench: Bench) -> None:
    image = program(bench)
    async with Stm32Board() as board:
        board.flash.faults.power_loss_after = 20_000
        told = await bench.do("write", board.port, image, F405)
        assert (told.end.ok, told.end.code) == (False, Code.LINK)
        await board.power_on()
        told = await bench.do("write", board.port, image, F405)
        assert told.end.ok, told.end
        assert told.end.written == image.stat().st_size - 16384
        assert content(board, image)


async def test_a_protected_chip_says_so(bench: Bench) -> None:
    async with Stm32Board() as board:
        board.faults.read_protected = True
        told = await bench.do("write", board.port, program(bench), F405)
        assert told.end.code is Code.LINK
        assert told.end.cure.startswith("if it does so each time, it is protected")
        assert told.end.id == ""
        assert board.fired["read protected"] > 0


async def test_a_refusal_is_tried_again(bench: Bench) -> None:
    image = program(bench)
    async with Stm32Board() as board:
        board.faults.refuse[Command.WRITE] = 1
        told = await bench.do("write", board.port, image, F405)
        assert told.end.ok, told.end
        assert board.fired["WRITE refused"] == 1
        assert content(board, image)


@pytest.mark.parametrize("seed", range(4))
async def test_noise_corrupts_nothing_in_silence(bench: Bench, seed: int) -> None:
    image = program(bench, 20_000)
    line = FaultyLine(seed, Faults(flip=1e-4))
    async with Stm32Board(wire=PtyWire(line)) as board:
        told = await bench.do("write", board.port, image, F405)
        assert sum(line.fired.values()) > 0
        assert not told.end.ok or content(board, image)


async def test_backup_and_erase(bench: Bench) -> None:
    async with Stm32Board("stm32f405", content=payload(30_000)) as board:
        file = bench.folder / "back.bin"
        told = await bench.do("backup", board.port, None, F405, backup=True, file=file)
        assert told.end.ok, told.end
        assert file.read_bytes() == bytes(board.flash)
        await board.power_on()
        assert (await bench.do("erase", board.port, None, F405)).end.ok
        assert bytes(board.flash) == b"\xff" * len(board.flash)
