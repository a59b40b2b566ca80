"""Chips behind a debug probe: the real pyOCD, if it is installed, with an emulated probe and chip."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.flash.errors import Code
from tests.flash.bench import Bench
from tests.hil.flashing import payload

HERE = Path(__file__).parent
HEAD, FLASH_BYTES = 64, 256 * 1024
SERIAL = "9900000031864e45"
PORT = f"probe://{SERIAL}"
DEFINITION = "behind-a-probe"
installed = importlib.util.find_spec("pyocd") is not None


def real(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """One of those that need the extra, which is in no lock: with the long ones, for who has it."""
    return pytest.mark.soak(pytest.mark.skipif(not installed, reason="needs boardtalk[pyocd]")(test))


class Probe:
    """The emulated probe: a file that the worker's process opens."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_bytes(b"\1" + bytes(HEAD - 1) + b"\xff" * FLASH_BYTES)

    @property
    def flash(self) -> bytes:
        return self.file.read_bytes()[HEAD:]

    def put(self, at: int, data: bytes) -> None:
        with self.file.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def power_loss_after(self, pages: int) -> None:
        self.put(4, pages.to_bytes(4, "little"))

    def power_on(self) -> None:
        self.put(0, b"\1")


@pytest.fixture
def probe(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """A plug-in of pyOCD's, installed for the worker only, and the definition of what is behind it."""
    plugin = bench.folder / "plugin"
    about = plugin / "emulated_probe-1.dist-info"
    about.mkdir(parents=True)
    shutil.copy(HERE / "pyocd_probe.py", plugin / "boardtalk_emulated_probe.py")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: emulated-probe\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[pyocd.probe]\nemulated = boardtalk_emulated_probe:ProbePlugin\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{plugin}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("BOARDTALK_PROBE", str(bench.folder / "probe"))
    define(bench)
    return Probe(bench.folder / "probe")


def define(bench: Bench, mcu: str = "nrf51822") -> None:
    folder = bench.folder / "config/boardtalk/boards"
    folder.mkdir(parents=True, exist_ok=True)
    text = Path(boards.definition("microbit").path).read_text()
    text = text.replace('protocol = "daplink"', 'protocol = "pyocd"').replace("nrf51822", mcu)
    (folder / f"{DEFINITION}.toml").write_text(text)


def hex_file(*blocks: tuple[int, bytes]) -> bytes:
    lines = []
    for at, data in blocks:
        for start in range(0, len(data), 16):
            place = at + start
            lines += (
                [b"\x02\x00\x00\x04" + (place >> 16).to_bytes(2)] if not place & 0xFFFF or not start else []
            )
            piece = data[start : start + 16]
            lines.append(bytes((len(piece),)) + (place & 0xFFFF).to_bytes(2) + b"\0" + piece)
    lines.append(b"\x00\x00\x00\x01")
    return b"".join(b":%s\n" % (line + bytes((-sum(line) & 0xFF,))).hex().upper().encode() for line in lines)


@real
async def test_an_image_is_written_compared_and_started(bench: Bench, probe: Probe) -> None:
    image = payload(80_000)
    told = await bench.do("plan", PORT, bench.file(image), DEFINITION)
    assert told.end.note == f"{len(image)} of {len(image)} bytes differ"
    told = await bench.do("write", PORT, bench.file(image), DEFINITION)
    assert told.end.ok, told.end
    assert (told.end.id, told.end.written) == (SERIAL, len(image))
    assert probe.flash.startswith(image)
    assert told.progress("write") == sorted(told.progress("write"))
    assert len(told.progress("write")) > 10
    probe.put(HEAD + 70_000, bytes((image[70_000] ^ 1,)))
    told = await bench.do("verify", PORT, bench.file(image), DEFINITION)
    assert told.end.code is Code.VERIFY
    told = await bench.do("write", PORT, bench.file(image), DEFINITION)
    assert (told.end.ok, told.end.written) == (True, len(image) - 65536)


@real
async def test_a_hex_file_says_itself_where_it_goes(bench: Bench, probe: Probe) -> None:
    first, second = payload(3_000, seed=1), payload(5_000, seed=2)
    image = bench.file(hex_file((0, first), (0x20000, second)), "firmware.hex")
    told = await bench.do("write", PORT, image, DEFINITION)
    assert told.end.ok, told.end
    assert probe.flash.startswith(first)
    assert probe.flash[0x20000:].startswith(second)


@real
async def test_another_chip_is_left_alone(bench: Bench, probe: Probe) -> None:
    define(bench, "nrf52832")
    told = await bench.do("write", PORT, bench.file(payload(3_000)), DEFINITION)
    assert told.end.code is Code.WRONG_CHIP
    assert "there is a nrf51822, and not nrf52832" in told.end.reason
    assert probe.flash == b"\xff" * FLASH_BYTES


@real
async def test_a_loss_of_power_is_gone_on_with(bench: Bench, probe: Probe) -> None:
    image = random.Random(5).randbytes(140_000)
    probe.power_loss_after(80)  # pages of 1 kB: in the second piece
    told = await bench.do("write", PORT, bench.file(image), DEFINITION)
    assert (told.end.ok, told.end.code) == (False, Code.LINK), told.end
    probe.power_on()
    told = await bench.do("write", PORT, bench.file(image), DEFINITION)
    assert told.end.ok, told.end
    assert told.end.written == len(image) - 65536
    assert probe.flash.startswith(image)


@real
async def test_backup_erase_and_restore(bench: Bench, probe: Probe) -> None:
    probe.put(HEAD, payload(100_000))
    before, copy = probe.flash, bench.folder / "back.bin"
    told = await bench.do("backup", PORT, None, DEFINITION, backup=True, file=copy)
    assert told.end.ok, told.end
    assert copy.read_bytes() == before
    assert (await bench.do("erase", PORT, None, DEFINITION)).end.ok
    assert probe.flash == b"\xff" * FLASH_BYTES
    told = await bench.do("restore", PORT, copy, DEFINITION)
    assert told.end.ok, told.end
    assert probe.flash == before


@real
async def test_a_probe_that_is_not_there(bench: Bench, probe: Probe) -> None:
    told = await bench.do("write", "probe://1234", bench.file(payload(3_000)), DEFINITION)
    assert told.end.code is Code.NO_LOADER
    assert told.end.reason == "probe://1234: no probe: one is wanted, and there are: none"


@real
async def test_ctrl_c_ends_behind_a_piece(bench: Bench, probe: Probe) -> None:
    image, stop = payload(140_000), asyncio.Event()
    job = bench.job("write", PORT, bench.file(image), DEFINITION, stop=stop)
    task = asyncio.create_task(bench.all([job]))
    while probe.flash[0] == 0xFF and not task.done():
        await asyncio.sleep(0.01)
    stop.set()
    (told,) = await task
    assert told.end.code is Code.CANCELLED
    assert told.end.written == 65536


@pytest.mark.skipif(installed, reason="pyOCD is installed")
async def test_without_pyocd_it_is_said_how_to_get_it(bench: Bench) -> None:
    define(bench)
    told = await bench.do("write", PORT, bench.file(payload(3_000)), DEFINITION)
    assert (told.end.code, told.end.cure) == (Code.UNSUPPORTED, 'pip install "boardtalk[pyocd]"')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (hex_file((0, b"abc"))[:-12], "its last line is missing"),
        (hex_file((0, b"abc")).replace(b"61", b"62"), "line 2 is no line of an Intel HEX file"),
    ],
)
async def test_a_damaged_file_is_refused_before_the_probe_is_asked(
    bench: Bench, data: bytes, says: str
) -> None:
    define(bench)
    told = await bench.do("write", PORT, bench.file(data), DEFINITION)
    assert told.end.code is Code.BAD_IMAGE
    assert says in told.end.reason


async def test_a_chip_that_can_not_be_made_sure_of_is_not_written(bench: Bench) -> None:
    define(bench, "gd32vf103")
    told = await bench.do("write", PORT, bench.file(payload(3_000)), DEFINITION)
    assert told.end.code is Code.UNSUPPORTED
    assert "nothing here can make sure that a chip behind a probe is a gd32vf103" in told.end.reason
