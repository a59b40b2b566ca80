"""ESP boards, emulated, with the real esptool: written, compared, refused, broken off and gone on with."""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.flash.errors import Code
from boardtalk.flash.journal import Journal
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.esp_loader import Op
from boardtalk.hil.loaders.network import Rfc2217Wire
from boardtalk.hil.loaders.wire import PtyWire
from tests.campaigns.figures import note
from tests.flash.bench import C3, Bench, content

ERASED = b"\xff"
SEGMENT = 65536


async def test_an_image_is_written_and_verified_and_then_there_is_nothing_to_do(bench: Bench) -> None:
    image = bench.image()
    size = image.stat().st_size
    async with EspBoard("esp32c3", mac=bytes.fromhex("aabbccddeeff")) as board:
        planned = (await bench.do("plan", board.port, image)).end
        assert (planned.ok, planned.note) == (True, f"{size} of {size} bytes differ")
        assert bytes(board.flash) == ERASED * len(board.flash)

        told = await bench.do("write", board.port, image)
        assert told.end.ok, told.end
        assert told.end.id == "aa:bb:cc:dd:ee:ff"
        assert told.end.written == told.end.total == size
        assert told.progress("write") == sorted(told.progress("write"))
        assert told.progress("write")[-1] == size
        assert content(board, image)

        assert (await bench.do("verify", board.port, image)).end.note == f"all of {size} bytes are on it"
        assert (await bench.do("write", board.port, image)).end.written == 0


async def test_verify_finds_one_wrong_bit_and_write_mends_that_piece_only(bench: Bench) -> None:
    image = bench.image()
    data = bytearray(image.read_bytes())
    data[SEGMENT + 7] ^= 1
    async with EspBoard("esp32c3", content=bytes(data)) as board:
        told = await bench.do("verify", board.port, image)
        assert told.end.code is Code.VERIFY
        assert told.steps("again") == []
        told = await bench.do("write", board.port, image)
        assert (told.end.ok, told.end.written) == (True, SEGMENT)
        assert content(board, image)


async def test_another_chip_is_seen_before_anything_is_touched(bench: Bench) -> None:
    before = b"precious" * 100
    async with EspBoard("esp32", content=before) as board:
        flash = bytes(board.flash)
        told = await bench.do("write", board.port, bench.image(), erase=True)
        assert told.end.code is Code.WRONG_CHIP
        assert "there is a esp32, and not esp32c3" in told.end.reason
        assert bytes(board.flash) == flash


async def test_an_image_that_does_not_fit_is_refused_as_a_whole(bench: Bench) -> None:
    async with EspBoard("esp32c3", flash_bytes=1 << 18) as board:
        told = await bench.do("write", board.port, bench.image(300_000), erase=True)
        assert told.end.code is Code.BAD_IMAGE
        assert "and the flash has 256 kB; nothing was touched" in told.end.reason
        assert board.flash.written == 0
        assert board.events.named("erase") == []


async def test_the_image_chooses_among_what_a_port_may_be_and_the_probe_has_the_last_word(
    bench: Bench,
) -> None:
    async with EspBoard("esp32c3") as board:
        told = await bench.do("write", board.port, bench.image(), "esp32", "esp32-c3", "esp32-s3")
        assert (told.end.ok, told.end.board) == (True, "esp32-c3")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda data: data[:-40], "cut off"),
        (lambda data: data[:5000] + b"\0" * 9 + data[5009:], "its checksum is"),
        (lambda data: b"<html>" + data, "does not begin as firmware for an ESP does"),
        (
            lambda data: data[:12] + b"\0\0" + data[14:],
            "this is firmware for esp32, and the board has esp32c3",
        ),
        (lambda data: data[:10], "cut off after 10 bytes"),
    ],
)
async def test_a_wrong_file_is_refused_before_the_port_is_opened(bench: Bench, harm, says: str) -> None:  # type: ignore[no-untyped-def]
    file = bench.folder / "harmed.bin"
    file.write_bytes(harm(bench.image(20_000).read_bytes()))
    async with EspBoard("esp32c3") as board:
        told = await bench.do("write", board.port, file)
        assert told.end.code is Code.BAD_IMAGE
        assert says in told.end.reason
        assert board.events.named("sync") == []


async def test_a_locked_port_and_one_that_is_not_there(bench: Bench) -> None:
    image = bench.image(20_000)
    async with EspBoard("esp32c3") as board:
        lock = subprocess.Popen(["flock", "--exclusive", board.port, "sleep", "60"])
        try:
            while b"flock" not in Path(f"/proc/{lock.pid}/cmdline").read_bytes() or not _children(lock.pid):
                await asyncio.sleep(0.01)
            told = await bench.do("write", board.port, image)
        finally:
            subprocess.run(["kill", *map(str, _children(lock.pid))], check=True)
            lock.wait()
        assert told.end.code is Code.PORT_BUSY
        assert board.events.named("sync") == []
    told = await bench.do("write", "/dev/ttyNONE9", image)
    assert (told.end.code, told.end.cure[:26]) == (Code.PORT_MISSING, "is the board plugged in? `")


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_nobody_answers(bench: Bench) -> None:
    async with EspBoard("esp32c3") as board:
        await board.power_on(loader=False)
        told = await bench.do("write", board.port, bench.image(20_000), "esp32-c3")
        assert told.end.code is Code.NO_LOADER
        assert told.end.cure == boards.definition("esp32-c3").definition.bootloader.hint
        assert told.steps("again") == []


async def test_a_protected_flash_is_no_success(bench: Bench) -> None:
    async with EspBoard("esp32c3") as board:
        board.flash.faults.protected = True
        told = await bench.do("write", board.port, bench.image(20_000))
        assert told.end.code is Code.VERIFY
        assert board.flash.fired["protected"] > 0
        assert len(told.steps("again")) == 2


@pytest.mark.soak
async def test_a_bit_that_does_not_hold_is_no_success(bench: Bench) -> None:
    async with EspBoard("esp32c3") as board:
        board.flash.faults.weak = {SEGMENT + 1}
        told = await bench.do("write", board.port, bench.image())
        assert (told.end.ok, told.end.code) == (False, Code.VERIFY)
        assert board.flash.fired["weak"] > 0


async def test_secure_download_mode_is_left_alone(bench: Bench) -> None:
    async with EspBoard("esp32c3") as board:
        board.faults.secure_download = True
        told = await bench.do("write", board.port, bench.image(20_000))
        assert told.end.code is Code.UNSUPPORTED
        assert bytes(board.flash) == ERASED * len(board.flash)


async def test_an_error_of_the_loader_is_tried_again_at_the_lower_rate(bench: Bench) -> None:
    image = bench.image()
    async with EspBoard("esp32c3") as board:
        board.faults.refuse[Op.DEFL_DATA, 0x07] = 3  # esptool itself repeats a block twice
        told = await bench.do("write", board.port, image)
        assert told.end.ok, told.end
        assert [each.partition(":")[0] for each in told.steps("again")] == ["at 115200 baud"]
        assert told.steps("loader") == ["460800 baud", "115200 baud"]
        assert content(board, image)


# Broken off, and gone on with ------------------------------------------------------------------------


async def broken_off(bench: Bench, image: Path, after: int, *, erase: bool = False, number: int = 0) -> int:
    """Power goes after so many bytes, and comes back; the bytes that the second try had to write."""
    async with EspBoard("esp32c3", mac=number.to_bytes(6), content=b"old" * 50_000) as board:
        board.flash.faults.power_loss_after = after
        told = await bench.do("write", board.port, image, erase=erase)
        assert board.flash.fired["power loss"] == 1, told.end
        assert (told.end.ok, told.end.code) == (False, Code.LINK)
        assert told.end.cure.endswith("the same command writes what is missing")
        await board.power_on()
        told = await bench.do("write", board.port, image, erase=erase)
        assert told.end.ok, told.end
        assert content(board, image)
        return told.end.written


async def test_the_same_command_writes_what_is_missing_and_does_not_erase_again(bench: Bench) -> None:
    image = bench.image()
    assert await broken_off(bench, image, 3 * SEGMENT // 2, erase=True) == image.stat().st_size - SEGMENT
    steps = [(entry.step, entry.what) for entry in Journal(bench.state / "flash").entries()]
    assert [step for step, _ in steps].count("erased") == 1
    assert steps[-1] == ("done", "write")


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("batch", range(6))
async def test_at_any_point(bench: Bench, batch: int) -> None:
    """Sixty points, ten boards at a time: tools wait for the dead most of the time."""
    image = bench.image()
    size = image.stat().st_size
    points = {
        1 + seed: random.Random(1000 + seed).randrange(size) for seed in range(batch * 10, batch * 10 + 10)
    }
    runs = (broken_off(bench, image, after, number=number) for number, after in points.items())
    left = await asyncio.gather(*runs)
    assert left == [size - after // SEGMENT * SEGMENT for after in points.values()]
    note(
        "FLASH",
        f"power lost at {len(left)} points of a write",
        f"all finished by the same command, which wrote {sum(left)} of {size * len(left)} bytes",
        seed=1000 + batch * 10,
    )


async def test_ctrl_c_ends_behind_a_piece_and_says_how_it_goes_on(bench: Bench) -> None:
    image = bench.image()
    stop = asyncio.Event()
    async with EspBoard("esp32c3") as board:
        board.flash.faults.erase_s = 0.5  # each piece takes so long
        job = bench.job("write", board.port, image, stop=stop)
        told = asyncio.create_task(bench.all([job]))
        while board.flash.written == 0 and not told.done():
            await asyncio.sleep(0.01)
        stop.set()
        (said,) = await told
        assert said.end.code is Code.CANCELLED
        assert said.end.cure == "the same command goes on from here"
        assert said.end.written % SEGMENT == 0
        assert 0 < said.end.written < image.stat().st_size
        again = await bench.do("write", board.port, image)
        assert again.end.ok, again.end
        assert again.end.written == image.stat().st_size - said.end.written
        assert again.steps("plan") == ["goes on with a write that did not end"]


# Noise ------------------------------------------------------------------------------------------------


async def noisy(bench: Bench, seed: int) -> tuple[bool, int]:
    """One write over a line that drops and flips; whether it succeeded, and the faults that fired."""
    image = bench.image(80_000)
    share = random.Random(seed)
    faults = Faults(drop=share.choice([0, 1e-5, 2e-5]), flip=share.choice([2e-5, 5e-5, 1e-4]))
    line = FaultyLine(seed, faults)
    async with EspBoard("esp32c3", PtyWire(line), mac=seed.to_bytes(6)) as board:
        board.faults.silent = bool(seed % 2)
        told = await bench.do("write", board.port, image)
        assert not told.end.ok or content(board, image), f"seed {seed}: corrupted, and nobody noticed"
        return told.end.ok, sum(line.fired.values())


async def test_noise_on_the_line_corrupts_nothing_in_silence(bench: Bench) -> None:
    _, fired = await noisy(bench, seed=3)
    assert fired > 0


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("batch", range(16))
async def test_noise_in_more_than_a_hundred_runs(bench: Bench, batch: int) -> None:
    """Ten boards at a time. A run without a fault shows nothing, and is not counted."""
    results = await asyncio.gather(*(noisy(bench, seed) for seed in range(batch * 10, batch * 10 + 10)))
    hit = [ok for ok, fired in results if fired]
    note(
        "FLASH",
        f"noise in {len(hit)} of {len(results)} writes, {sum(fired for _, fired in results)} faults",
        f"{sum(hit)} succeeded all the same, the others said that they failed; 0 corrupted in silence",
        seed=batch * 10,
    )
    assert len(hit) >= 7


# Many, backups ------------------------------------------------------------------------------------------


async def test_four_boards_at_once_and_one_that_fails_stops_none(bench: Bench) -> None:
    image = bench.image()
    macs = [bytes((0, 0, 0, 0, 0, number)) for number in range(4)]
    async with (
        EspBoard("esp32c3", mac=macs[0]) as first,
        EspBoard("esp32c3", mac=macs[1]) as second,
        EspBoard("esp32", mac=macs[2]) as other,
        EspBoard("esp32c3", mac=macs[3]) as fourth,
    ):
        every = [first, second, other, fourth]
        told = await bench.all([bench.job("write", board.port, image) for board in every])
        assert [each.end.ok for each in told] == [True, True, False, True]
        assert [each.end.id[-2:] for each in told] == ["00", "01", "02", "03"]
        assert told[2].end.code is Code.WRONG_CHIP
        assert all(content(board, image) for board in (first, second, fourth))


async def test_a_backup_brings_everything_back(bench: Bench) -> None:
    before = random.Random(7).randbytes(100_000)
    async with EspBoard("esp32c3", flash_bytes=1 << 18, content=before) as board:
        told = await bench.do("write", board.port, bench.image(60_000), backup=True, erase=True)
        assert told.end.ok, told.end
        (file,) = (bench.state / "flash" / "backups").iterdir()
        assert told.steps("backup") == [str(file)]
        assert file.read_bytes() == before.ljust(1 << 18, ERASED)
        told = await bench.do("restore", board.port, file)
        assert told.end.ok, told.end
        assert bytes(board.flash) == file.read_bytes()


async def test_a_journal_that_can_not_be_written_stops_its_board_only_before_anything_is_touched(
    bench: Bench,
) -> None:
    image = bench.image(20_000)
    (bench.state / "flash" / "journal.jsonl").mkdir(parents=True)
    async with EspBoard("esp32c3") as first, EspBoard("esp32c3") as second:
        told = await bench.all([bench.job("write", board.port, image) for board in (first, second)])
        assert [each.end.code for each in told] == [Code.DISK, Code.DISK]
        assert first.flash.written == second.flash.written == 0


async def test_a_disk_that_is_full_ends_a_backup_before_anything_is_erased(bench: Bench) -> None:
    """A limit to the size of files, as the command's process has it: the kernel refuses the same call."""
    async with EspBoard("esp32c3", flash_bytes=1 << 20, content=b"precious" * 30_000) as board:
        before = bytes(board.flash)
        words = ["flash", "write", "--port", board.port, "--board", C3, "--image", str(bench.image())]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "boardtalk", *words, "--erase", "--backup", "--state", str(bench.state),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 1, said
        assert b"the backup can't be written" in said
        assert b"nothing was erased; make room" in said
        assert list((bench.state / "flash" / "backups").iterdir()) == []
        assert bytes(board.flash) == before


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_control_lines_bring_a_board_into_its_loader_and_out_again(bench: Bench) -> None:
    async with EspBoard("esp32c3", Rfc2217Wire(), flash_bytes=1 << 20) as board:
        await board.power_on(loader=False)
        told = await bench.do("probe", board.port, None, "esp32-c3")
        assert told.end.ok, told.end
        assert board.events.named("boot")[-2:] == ["loader", "nothing"]  # on the flash, that is
