"""STM32 boards in their USB loader: emulated, with the real dfu-util where it can run, and with a stand-in.

The real program sees emulated boards through a stand-in for libusb. It is in the long tests; the short ones
run the stand-in, and compare the two.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from boardtalk.flash import detect, dfu, usb
from boardtalk.flash.errors import Code
from boardtalk.hil.micropython.board import MicroPythonBoard
from tests.flash import dfu_board
from tests.flash.bench import Bench
from tests.flash.dfu_board import FLASH_AT, LIST, DfuBoard
from tests.flash.test_entry import programmed, until
from tests.hil.flashing import payload

F405 = "stm32f405-dfu"
REAL = shutil.which("dfu-util")
needs_real = pytest.mark.skipif(not (REAL and shutil.which("gcc")), reason="no dfu-util, or no C compiler")
KINDS = ["stand-in", pytest.param("real", marks=[needs_real, pytest.mark.soak])]


@pytest.fixture(scope="session", params=KINDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dfu-util."""
    folder = tmp_path_factory.mktemp(request.param)
    return dfu_board.installed(folder, real=REAL or "" if request.param == "real" else "")


@pytest.fixture
def tool(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program}:{os.environ['PATH']}")


@pytest.fixture
def board(bench: Bench, tool: None, monkeypatch: pytest.MonkeyPatch) -> DfuBoard:
    return plugged_in(bench, monkeypatch, 1)[0]


def plugged_in(bench: Bench, monkeypatch: pytest.MonkeyPatch, count: int) -> list[DfuBoard]:
    hub = random.Random(str(bench.folder)).randrange(2, 250)  # no two tests lock the same place
    boards = [
        DfuBoard(bench.folder / f"board{number}", f"1-{hub}.{number}") for number in range(1, count + 1)
    ]
    monkeypatch.setenv(LIST, dfu_board.plugged(*boards))
    return boards


def raw(size: int = 40_000, seed: int = 1) -> bytes:
    """What begins as a program does: its stack, its first instruction."""
    return struct.pack("<II", 0x20020000, FLASH_AT + 0x101) + payload(size, seed=seed)


def dfuse(*elements: tuple[int, bytes], alternate: int = 0) -> bytes:
    """A file as MicroPython's `dfu.py` makes it."""
    held = b"".join(struct.pack("<II", at, len(data)) + data for at, data in elements)
    target = struct.pack("<6sBI255sII", b"Target", alternate, 1, b"ST...", len(held), len(elements)) + held
    whole = struct.pack("<5sBIB", b"DfuSe", 1, 11 + len(target), 1) + target
    whole += struct.pack("<HHHH3sB", 0, 0xDF11, 0x0483, 0x011A, b"UFD", 16)
    return whole + struct.pack("<I", zlib.crc32(whole) ^ 0xFFFFFFFF)


async def test_an_image_is_written_by_sectors_read_back_and_started(bench: Bench, board: DfuBoard) -> None:
    before, image = payload(200_000, seed=3), raw()
    board.put(before)
    told = await bench.do("plan", board.port, bench.file(image), F405)
    assert told.end.note == f"{len(image)} of {len(image)} bytes differ"
    assert (board["written"], board["left"]) == (0, 1)
    board.power_on()
    told = await bench.do("write", board.port, bench.file(image), F405)
    assert told.end.ok, told.end
    assert told.end.id == "357F37763031"
    assert told.steps("match") == [f"{F405}: stm32f405, 357F37763031, 1024 kB"]
    assert board.flash[: len(image)] == image
    assert board.flash[3 * 16384 : len(before)] == before[3 * 16384 :]
    assert (board["erased"], board["left"]) == (3, 2)
    assert told.progress("write") == sorted(told.progress("write"))
    assert len(told.progress("write")) > 10
    assert told.progress("write")[-1] == len(image)
    board.power_on()
    told = await bench.do("verify", board.port, bench.file(image), F405)
    assert told.end.note == f"all of {len(image)} bytes are on it"


async def test_a_dfu_file_says_itself_where_it_goes(bench: Bench, board: DfuBoard) -> None:
    vectors, text = raw(8_000), payload(70_000, seed=4)
    path = bench.file(dfuse((FLASH_AT, vectors), (FLASH_AT + 0x20000, text)), "firmware.dfu")
    board.put(b"files" * 40_000)
    files = board.flash
    told = await bench.do("write", board.port, path, F405)
    assert told.end.ok, told.end
    assert board.flash[: len(vectors)] == vectors
    assert board.flash[0x20000 : 0x20000 + len(text)] == text
    assert board.flash[0x4000:0x20000] == files[0x4000:0x20000]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (dfuse((FLASH_AT, raw()))[:-30], "its checksum does not fit"),
        (
            dfuse((FLASH_AT, raw()))[:9000] + b"?" + dfuse((FLASH_AT, raw()))[9001:],
            "its checksum does not fit",
        ),
        (b"DfuSe\1", "it is cut off"),
        (dfuse((0x1FFFC000, b"\0" * 16), alternate=1), "for more than the flash"),
        (dfuse((0x1000, raw())), "the flash begins at 0x8000000"),
        (dfuse((FLASH_AT + 100, raw())), "in the middle of sector 0"),
        (b"this is no program at all", "does not begin as a program for an STM32 does"),
    ],
)
async def test_a_wrong_file_is_refused_before_anything_is_asked(bench: Bench, data: bytes, says: str) -> None:
    told = await bench.do("write", "usb://9-9", bench.file(data), F405)
    assert not told.end.ok
    assert says in told.end.reason
    assert told.steps("loader") == []


async def test_what_does_not_fit_is_refused_as_a_whole(bench: Bench, board: DfuBoard) -> None:
    told = await bench.do("write", board.port, bench.file(raw(1_100_000)), F405, erase=True)
    assert told.end.code is Code.BAD_IMAGE
    assert "and the flash has 1024 kB; nothing was touched" in told.end.reason
    assert (board["erased"], board["written"]) == (0, 0)


async def test_a_chip_with_another_flash_is_left_alone(bench: Bench, board: DfuBoard) -> None:
    folder = bench.folder / "config/boardtalk/boards"
    folder.mkdir(parents=True)
    text = Path(__file__).parents[2].joinpath("boards", f"{F405}.toml").read_text()
    text = text.replace("stm32f405", "stm32f411").replace("flash_kb = 1024", "flash_kb = 512")
    (folder / "f411.toml").write_text(text)
    told = await bench.do("write", board.port, bench.file(raw()), "f411")
    assert told.end.code is Code.WRONG_CHIP
    assert "there is a chip with the flash '@Internal Flash  /0x08000000/04*016Kg" in told.end.reason
    assert (board["written"], board["left"]) == (0, 1)


async def test_a_loss_of_power_is_gone_on_with(bench: Bench, board: DfuBoard) -> None:
    image = raw()
    board["power_loss_after"] = 20_000
    told = await bench.do("write", board.port, bench.file(image), F405)
    assert (told.end.ok, told.end.code) == (False, Code.LINK), told.end
    assert "Error during download; since then no loader answers" in told.end.reason
    board.power_on()
    told = await bench.do("write", board.port, bench.file(image), F405)
    assert told.end.ok, told.end
    assert told.end.written == len(image) - 16384
    assert board.flash[: len(image)] == image


async def test_a_bit_that_does_not_hold_is_no_success(bench: Bench, board: DfuBoard) -> None:
    board["weak_at"] = 20_000
    told = await bench.do("write", board.port, bench.file(raw()), F405)
    assert (told.end.ok, told.end.code) == (False, Code.VERIFY)
    assert "at 0x8004000 is not what was written" in told.end.reason
    assert len(told.steps("again")) == 2
    assert not any("baud" in each for each in told.steps("again") + told.steps("loader"))


async def test_who_may_not_open_the_device_is_told_the_udev_rule(bench: Bench, board: DfuBoard) -> None:
    board["no_access"] = 1
    told = await bench.do("write", board.port, bench.file(raw()), F405)
    assert told.end.code is Code.PORT_BUSY
    assert told.end.reason == f"{board.port}: you may not open the USB device 0483:df11"
    assert 'ATTRS{idVendor}=="0483", ATTRS{idProduct}=="df11", TAG+="uaccess"' in told.end.cure


async def test_a_device_that_another_program_has(bench: Bench, board: DfuBoard) -> None:
    board["busy"] = 1
    told = await bench.do("write", board.port, bench.file(raw()), F405)
    assert (told.end.code, told.end.cure) == (Code.PORT_BUSY, "end that")


async def test_a_protected_chip_says_so(bench: Bench, board: DfuBoard) -> None:
    board["is_protected"] = 1
    told = await bench.do("write", board.port, bench.file(raw()), F405)
    assert told.end.code is Code.LINK
    assert told.end.cure.startswith("if it does so each time, it is protected")
    assert board["written"] == 0


async def test_nobody_waits_there(bench: Bench, board: DfuBoard) -> None:
    board["present"] = 0
    told = await bench.do("write", board.port, bench.file(raw()), F405)
    assert told.end.code is Code.NO_LOADER
    assert told.end.cure.startswith("join BOOT0 with 3V3, press RESET")


async def test_without_dfu_util_it_is_said_how_to_get_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bench.folder))
    told = await bench.do("write", "usb://1-1", bench.file(raw()), F405)
    assert (told.end.code, told.end.cure) == (Code.UNSUPPORTED, "`sudo apt install dfu-util`")


@pytest.mark.soak
async def test_backup_erase_and_restore(bench: Bench, board: DfuBoard) -> None:
    board.put(payload(30_000, seed=5))
    before, copy = board.flash, bench.folder / "back.bin"
    told = await bench.do("backup", board.port, None, F405, backup=True, file=copy)
    assert told.end.ok, told.end
    assert copy.read_bytes() == before
    board.power_on()
    assert (await bench.do("erase", board.port, None, F405)).end.ok
    assert board.flash == b"\xff" * len(board.flash)
    board.power_on()
    told = await bench.do("restore", board.port, copy, F405)
    assert told.end.ok, told.end
    assert board.flash == before


async def test_boards_of_a_kind_are_told_apart_by_their_sockets(
    bench: Bench, tool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = plugged_in(bench, monkeypatch, 2)
    images = [bench.file(raw(20_000, seed), f"{seed}.bin") for seed in (7, 8)]
    told = await bench.all(
        [
            bench.job("write", each.port, image, F405)
            for each, image in zip((first, second), images, strict=True)
        ]
    )
    assert [each.end.ok for each in told] == [True, True], told
    assert [each.end.id for each in told] == ["357F37763031", "357F37763032"]
    for each, image in zip((first, second), images, strict=True):
        assert each.flash.startswith(image.read_bytes())


async def test_a_port_that_is_on_no_usb_is_not_taken_for_the_board_that_happens_to_wait(
    bench: Bench, board: DfuBoard
) -> None:
    told = await bench.do("write", str(bench.file(raw())), bench.file(raw()), F405)
    assert told.end.code is Code.PORT_MISSING
    assert "nobody knows which board is meant" in told.end.reason
    assert board["written"] == 0


async def test_after_an_error_no_other_board_is_written(
    bench: Bench, tool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = plugged_in(bench, monkeypatch, 2)
    port = bench.file(b"", "port")

    class Port:  # a mock: what pyserial tells of a port that goes when the board is in its loader
        device, location = str(port), f"{mine.place}:1.0"

    listed = iter([[Port]])
    monkeypatch.setattr(usb.list_ports, "comports", lambda: next(listed, []))
    mine["power_loss_after"] = 20_000
    told = await bench.do("write", str(port), bench.file(raw()), F405)
    assert told.end.code is Code.LINK, told.end
    assert (mine["written"], other["written"]) == (20_000, 0)


async def test_one_board_is_for_one_flasher(bench: Bench, board: DfuBoard) -> None:
    board["slow_ms"] = 5
    jobs = [bench.job("write", board.port, bench.file(raw()), F405) for _ in range(2)]
    first, second = await asyncio.gather(*(bench.all([job]) for job in jobs))
    ends = sorted((first[0].end, second[0].end), key=lambda end: end.ok)
    assert [each.code for each in ends] == [Code.PORT_BUSY, None]
    assert "another `boardtalk flash` has it" in ends[0].reason


async def test_ctrl_c_ends_behind_a_sector_and_the_same_command_goes_on(
    bench: Bench, board: DfuBoard
) -> None:
    board["slow_ms"], stop, image = 20, asyncio.Event(), raw()
    task = asyncio.create_task(
        bench.all([bench.job("write", board.port, bench.file(image), F405, stop=stop)])
    )
    while not board["written"] and not task.done():
        await asyncio.sleep(0.01)
    stop.set()
    (told,) = await task
    assert told.end.code is Code.CANCELLED
    assert told.end.written == 16384
    board["slow_ms"] = 0
    again = await bench.do("write", board.port, bench.file(image), F405)
    assert again.end.ok, again.end
    assert again.end.written == len(image) - 16384


@pytest.mark.soak
async def test_what_hangs_is_killed(bench: Bench, board: DfuBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dfu.dfu_util, "SILENCE_S", 0.5)
    board["slow_ms"] = 60_000
    told = await bench.do("write", board.port, bench.file(raw(1_000)), F405)
    assert (told.end.code, told.end.reason) == (Code.LINK, f"{board.port}: dfu-util hangs")


async def test_a_running_program_enters_the_loader_that_then_is_at_the_same_socket(
    bench: Bench, tool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = plugged_in(bench, monkeypatch, 2)
    mine["present"] = 0
    monkeypatch.setattr(usb, "place", lambda port: mine.place)  # a mock: a pseudo-terminal is on no USB
    async with MicroPythonBoard(await programmed(bench.folder)) as program:

        async def enters() -> None:
            await until(program, "entered", "")
            mine.power_on()

        entering = asyncio.create_task(enters())
        told = await bench.do("write", program.port, bench.file(raw(5_000)), F405)
        await entering
    assert told.end.ok, told.end
    assert mine.flash.startswith(raw(5_000))
    assert other["written"] == 0


def test_a_loader_on_the_usb_is_listed_with_its_socket(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from boardtalk import boards

    monkeypatch.setattr(usb, "DEVICES", bench.folder / "devices")  # a mock: what the kernel shows
    for name, ids in (("1-2.4", ("0483", "df11")), ("1-3", ("1d6b", "0002")), ("1-2.4:1.0", ())):
        place = bench.folder / "devices" / name
        place.mkdir(parents=True)
        for key, value in zip(("idVendor", "idProduct"), ids, strict=False):
            (place / key).write_text(f"{value}\n")
        (place / "product").write_text("STM32  BOOTLOADER\n")
    (found,) = [each for each in detect.plugged(boards.definitions()) if each.port.startswith("usb://")]
    assert (found.port, found.usb, found.name) == ("usb://1-2.4", "0483:df11", "STM32  BOOTLOADER")
    assert [each.id for each in found.boards] == [F405]


# The stand-in ---------------------------------------------------------------------------------------------

FLASHED = ("--device", ",0483:df11", "--path", "1-3", "--alt", "0", "--dfuse-address")
DOWN = ("--download", "-")
CASES: list[tuple[dict[str, int], tuple[str, ...], int]] = [
    ({}, ("--list",), 0),
    ({"no_access": 1}, ("--list",), 0),
    ({"present": 0}, ("--list",), 0),
    ({}, (*FLASHED, "0x08000000", *DOWN), 40_000),
    ({}, (*FLASHED, "0x08020000", *DOWN), 5_000),
    ({}, (*FLASHED, "0x08000000", *DOWN), 7),
    ({}, (*FLASHED, "0x080f8000", *DOWN), 40_000),
    *(({fault: value}, (*FLASHED, "0x08000000", *DOWN), 40_000) for fault, value in
      (("no_access", 1), ("present", 0), ("busy", 1), ("is_protected", 1), ("power_loss_after", 20_000),
       ("weak_at", 3))),
    ({}, (*FLASHED, "0x08000000:5000", "--upload", "up"), 0),
    ({"is_protected": 1}, (*FLASHED, "0x08000000:5000", "--upload", "up"), 0),
    ({}, (*FLASHED, "0x08000000:mass-erase:force"), 0),
    ({"is_protected": 1}, (*FLASHED, "0x08000000:mass-erase:force"), 0),
    ({}, (*FLASHED, "0x08000000:leave"), 0),
    ({"is_protected": 1}, (*FLASHED, "0x08000000:leave"), 0),
]  # fmt: skip


@needs_real
def test_the_stand_in_says_and_does_what_the_real_one_does(tmp_path: Path) -> None:
    def run(name: str, real: str, faults: dict[str, int], words: tuple[str, ...], size: int) -> list[object]:
        here = tmp_path / f"{name}{random.random()}"
        here.mkdir()
        boards = [DfuBoard(here / "one", "1-3"), DfuBoard(here / "two", "1-2.4")]
        boards[0].put(bytes(range(256)) * 4000)
        for fault, value in faults.items():
            boards[0][fault] = value
        done = subprocess.run(
            [tools[name] / "dfu-util", *words],
            input=payload(size + 32)[:size],
            cwd=here,
            env={**os.environ, LIST: dfu_board.plugged(*boards)},
            capture_output=True,
            check=False,
        )
        up = here / "up"
        read = up.read_bytes() if up.exists() else b""
        return [done.returncode, done.stdout, done.stderr, read, *(each.file.read_bytes() for each in boards)]

    tools = {name: tmp_path / f"tool-{name}" for name in ("stand-in", "real")}
    for name, folder in tools.items():
        folder.mkdir()
        dfu_board.installed(folder, real=REAL or "" if name == "real" else "")
    for case in CASES:
        assert run("stand-in", "", *case) == run("real", "", *case), case
