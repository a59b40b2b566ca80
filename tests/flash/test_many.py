"""Many boards by one command, and what happens to one of them: unplugged, wanted twice, on a full disk."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.flash.errors import Code
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.wire import PtyWire
from tests.flash.bench import C3, Bench
from tests.flash.test_commands import flash, started

MIB = 1 << 20
LISTED = """\
import json, os
from serial.tools import list_ports

class Port:
    location = serial_number = None
    def __init__(self, device, vid, pid):
        self.device, self.vid, self.pid, self.description = device, vid, pid, "a board"

list_ports.comports = lambda: [Port(*each) for each in json.loads(os.environ["LISTED"])]
"""
"""A mock: the USB devices that the kernel would list; it runs in the command's process."""


def listed(bench: Bench, monkeypatch: pytest.MonkeyPatch, ports: dict[str, tuple[int, int]]) -> None:
    folder = bench.folder / "mock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LISTED)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LISTED", json.dumps([[port, *ids] for port, ids in ports.items()]))


def define(bench: Bench, name: str, usb: str, *, bridge: bool) -> None:
    folder = bench.folder / "config/boardtalk/boards"
    folder.mkdir(parents=True, exist_ok=True)
    text = Path(boards.definition(C3).path).read_text()
    text += f'\n[[usb]]\nid = "{usb}"\nbridge = {str(bridge).lower()}\n'
    (folder / f"{name}.toml").write_text(text)


async def rig(stack: AsyncExitStack, *kinds: str) -> list[EspBoard]:
    return [
        await stack.enter_async_context(EspBoard(kind, mac=number.to_bytes(6), flash_bytes=MIB))
        for number, kind in enumerate(kinds, 1)
    ]


def rows(said: str) -> dict[str, str]:
    """The table: a line by its port."""
    return {line.split()[0]: line for line in said.splitlines() if line.startswith(" /")}


async def test_all_means_those_whose_id_says_what_they_are(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(bench, "mine", "1209:c3c3", bridge=False)
    define(bench, "bridged", "1209:c340", bridge=True)
    image = bench.image(20_000)
    words = ("write", "--all", "--image", image, "--wait", "0", "--state", bench.state)
    async with AsyncExitStack() as stack:
        first, second, behind, printer = await rig(stack, "esp32c3", "esp32c3", "esp32c3", "esp32")
        ids = {first: 0xC3C3, second: 0xC3C3, behind: 0xC340, printer: 0xC340}
        listed(bench, monkeypatch, {board.port: (0x1209, product) for board, product in ids.items()})
        said = await flash(*words)
        assert set(rows(said)) == {first.port, second.port}
        assert all("done" in row for row in rows(said).values())
        assert behind.events.named("sync") == printer.events.named("sync") == []

        said = await flash(*words, "--board", "bridged", rc=1)  # asks all that may be it, and one is not
        assert set(rows(said)) == {printer.port, behind.port}
        assert "done" in rows(said)[behind.port]
        assert "wrong-chip" in rows(said)[printer.port]
        assert printer.flash.written == 0


async def test_without_all_several_boards_are_a_question(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(bench, "mine", "1209:c3c3", bridge=False)
    listed(bench, monkeypatch, {"/dev/one": (0x1209, 0xC3C3), "/dev/two": (0x1209, 0xC3C3)})
    said = await flash("write", "--image", bench.image(20_000), rc=2)
    assert "which board? 2 can be told by its USB id; plugged in: /dev/one (1209:c3c3), /dev/two" in said


async def test_jobs_limits_how_many_are_done_at_once(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        ports = [board.port for board in await rig(stack, "esp32c3", "esp32c3", "esp32c3")]
        words = [word for port in ports for word in ("--port", port)]
        more = (
            "--board",
            C3,
            "--image",
            bench.image(20_000),
            "--wait",
            "0",
            "--state",
            bench.state,
            "--json",
        )
        for jobs, changes in (("1", 2), ("3", None)):
            said = await flash("write", *words, *more, "--jobs", jobs)
            order = [json.loads(line)["port"] for line in said.splitlines()]
            changed = sum(one != other for one, other in itertools.pairwise(order))
            assert changed == changes if changes else changed > 2, order


async def test_each_outcome_has_its_line_in_the_table_and_its_cure(bench: Bench) -> None:
    image = bench.image(100_000)
    async with AsyncExitStack() as stack:
        good, other, held, silent, dying = await rig(
            stack, "esp32c3", "esp32", "esp32c3", "esp32c3", "esp32c3"
        )
        await silent.power_on(loader=False)
        dying.flash.faults.power_loss_after = 70_000
        lock = os.open(held.port, os.O_RDWR | os.O_NOCTTY)
        stack.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        missing = "/dev/ttyNONE9"
        ports = [good.port, other.port, held.port, silent.port, dying.port, missing]
        said = await flash(
            "write", *(word for port in ports for word in ("--port", port)), "--board", C3, "--image", image,
            "--wait", "0", "--state", bench.state, rc=1,
        )  # fmt: skip
    table = rows(said)
    expected = {
        good.port: ("done", ""),
        other.port: ("wrong-chip", "name the right --board"),
        held.port: ("port-busy", ""),
        silent.port: ("no-loader", ""),
        dying.port: ("link", "the same command writes what is missing"),
        missing: ("port-missing", "is the board plugged in?"),
    }
    assert set(table) == set(expected)
    for port, (result, cure) in expected.items():
        assert f" {result} " in table[port], table[port]
        assert cure in table[port]
    assert bytes(good.flash).startswith(image.read_bytes())
    assert held.flash.written == other.flash.written == 0


async def test_two_commands_want_one_port_and_one_gets_it(bench: Bench) -> None:
    image = bench.image()
    async with EspBoard("esp32c3") as board:
        board.flash.faults.erase_s = 0.3
        words = ("write", "--port", board.port, "--board", C3, "--image", image, "--wait", "0")
        both = [await started(*words, "--state", bench.folder / name) for name in ("one", "two")]
        said = [(await each.communicate())[0].decode() for each in both]
        assert sorted(each.returncode or 0 for each in both) == [0, 1], said
        loser = next(text for each, text in zip(both, said, strict=True) if each.returncode)
        assert "port-busy" in loser
        assert bytes(board.flash).startswith(image.read_bytes())


async def test_a_board_that_is_unplugged_in_the_middle_stops_none_and_is_gone_on_with(bench: Bench) -> None:
    image = bench.image()
    wire = PtyWire()
    async with EspBoard("esp32c3", wire) as board, EspBoard("esp32c3", mac=bytes(6)) as other:
        board.flash.faults.erase_s = 0.4
        jobs = [bench.job("write", each.port, image) for each in (board, other)]
        task = asyncio.create_task(bench.all(jobs))
        while board.flash.written == 0 and not task.done():
            await asyncio.sleep(0.01)
        await wire.unplug()
        gone, fine = await task
        assert fine.end.ok, fine.end
        assert gone.end.code is Code.LINK, gone.end
        assert gone.end.reason.endswith("; since then its port is gone")
        assert gone.end.cure == "plug the board in; the same command writes what is missing"
        board.flash.faults.erase_s = 0
        wire.plug()
        await board.power_on()
        told = await bench.do("write", board.port, image)
        assert told.end.ok, told.end
        assert told.steps("plan") == ["goes on with a write that did not end"]
        assert bytes(board.flash).startswith(image.read_bytes())


@pytest.mark.soak
async def test_ctrl_c_ends_all_behind_their_pieces(bench: Bench) -> None:
    image = bench.image()
    async with AsyncExitStack() as stack:
        every = await rig(stack, "esp32c3", "esp32c3", "esp32c3")
        for board in every:
            board.flash.faults.erase_s = 0.5
        words = ("write", *(word for board in every for word in ("--port", board.port)), "--board", C3)
        more = ("--image", image, "--state", bench.state, "--jobs", "2", "--wait", "0")
        process = await started(*words, *more)
        while not any(board.flash.written for board in every[:2]) and process.returncode is None:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 130, said
        assert said.count("the same command goes on from here") >= 1
        assert f"{every[2].port}: not begun" in said
        assert every[2].flash.written == 0
        for board in every:
            board.flash.faults.erase_s = 0
        await flash(*words, *more)
        assert all(bytes(board.flash).startswith(image.read_bytes()) for board in every)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with 600 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder], check=False).returncode:
        pytest.skip("can't mount a tmpfs here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.soak
@pytest.mark.privileged
async def test_a_full_file_system_ends_a_backup_before_anything_is_erased(
    bench: Bench, small_disk: Path
) -> None:
    image = bench.image(20_000)
    async with EspBoard("esp32c3", flash_bytes=MIB, content=b"precious" * 30_000) as board:
        before = bytes(board.flash)
        words = ("--port", board.port, "--board", C3, "--state", small_disk)
        said = await flash("write", "--image", image, "--erase", "--backup", *words, rc=1)
        assert "disk" in rows(said)[board.port]
        assert "the backup can't be written (No space left on device)" in said
        assert list((small_disk / "flash/backups").iterdir()) == []
        said = await flash("backup", small_disk / "mine.bin", *words, rc=1)
        assert "No space left on device" in said
        assert not (small_disk / "mine.bin").exists()
        assert bytes(board.flash) == before


@pytest.mark.privileged
async def test_a_journal_on_a_full_file_system_ends_a_write_before_anything_is_touched(
    bench: Bench, small_disk: Path
) -> None:
    with (small_disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    async with EspBoard("esp32c3") as board:
        words = ("--port", board.port, "--board", C3, "--image", bench.image(20_000), "--state", small_disk)
        said = await flash("write", *words, rc=1)
        assert "No space left on device" in said
        assert board.flash.written == 0
