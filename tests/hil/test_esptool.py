"""Emulated ESP boards, as unmodified esptool finds them: it probes, writes, verifies, reads, erases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.esp_chips import CHIPS
from boardtalk.hil.loaders.esp_loader import Op
from boardtalk.hil.loaders.network import Rfc2217Wire, TcpWire
from boardtalk.hil.loaders.wire import PtyWire, Wire
from boardtalk.hil.paced import PacedLine
from tests.hil.flashing import Ended, esp_image, esptool, payload

QUICK = ("esp32", "esp32c3")
KINDS = [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.soak) for kind in CHIPS]
TYPES = {
    "esp32": "ESP32-D0WD-V3 (revision v3.0)",
    "esp32c3": "ESP32-C3 (QFN32) (revision v0.4)",
    "esp32c6": "ESP32-C6 (QFN40) (revision v0.1)",
    "esp32s3": "ESP32-S3 (QFN56) (revision v0.2)",
    "esp8266": "ESP8266EX",
}
STAY = ("--before", "no-reset", "--after", "no-reset")
APP = 0x10000
ERASED = b"\xff"


async def write(board: EspBoard, file: Path, *options: str, at: int = APP) -> Ended:
    return await esptool(board.port, *STAY, *options, "write-flash", hex(at), str(file))


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    file = tmp_path / "firmware.bin"
    file.write_bytes(payload(60_000))
    return file


def written(board: EspBoard, file: Path, at: int = APP) -> bool:
    """Whether the flash holds this file, and nothing else."""
    content = file.read_bytes()
    return bytes(board.flash) == ERASED * at + content + ERASED * (len(board.flash) - at - len(content))


def tells_itself(said: str, kind: str, mac: str) -> None:
    """What esptool found out about a chip."""
    assert f"Chip type:          {TYPES[kind]}\n" in said
    assert f"Crystal frequency:  {26 if kind == 'esp8266' else 40}MHz" in said
    assert re.search(rf"^(BASE )?MAC: +{mac}$", said, re.MULTILINE)


@pytest.mark.parametrize("kind", sorted(CHIPS.keys() - QUICK))
@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
async def test_it_finds_and_writes_each_chip(kind: str, loader: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "firmware.bin"
    file.write_bytes(payload(20_000))
    at = 0x1E000  # across 64 KiB, before which the ESP8266's ROM counts wrongly what it erases
    async with EspBoard(kind, content=payload(at + 30_000)) as board:
        ended = await write(board, file, *loader, at=at)
        assert ended.code == 0, ended.said
        tells_itself(ended.said, kind, "24:0a:c4:b0:a7:d1")
        assert ("Hash of data verified" in ended.said) is not (kind == "esp8266" and loader != ())
        assert board.flash.read(at, 20_000) == file.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
async def test_esptool_tells_chip_address_and_flash(kind: str, loader: tuple[str, ...]) -> None:
    async with EspBoard(kind, mac=bytes.fromhex("aabbccddeeff"), flash_bytes=2 << 20) as board:
        ended = await esptool(board.port, *STAY, *loader, "flash-id")
        assert ended.code == 0, ended.said
        tells_itself(ended.said, kind, "aa:bb:cc:dd:ee:ff")
        assert "Manufacturer: ef" in ended.said
        assert "Detected flash size: 2MB" in ended.said
        assert len(board.events.named("stub")) == (not loader)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
async def test_what_esptool_writes_is_on_the_flash_and_it_reads_it_back(
    kind: str, loader: tuple[str, ...], firmware: Path, tmp_path: Path
) -> None:
    async with EspBoard(kind) as board:
        ended = await write(board, firmware, *loader)
        assert ended.code == 0, ended.said
        assert written(board, firmware)

        ended = await esptool(board.port, *STAY, *loader, "verify-flash", hex(APP), str(firmware))
        if kind == "esp8266" and loader:
            assert "ESP8266 ROM does not support function flash_md5sum" in ended.said
            return
        assert ended.code == 0, ended.said
        size = 60_000 if not loader else 2_000  # the ROM reads 64 bytes at a time
        back = tmp_path / "back.bin"
        ended = await esptool(board.port, *STAY, *loader, "read-flash", hex(APP), str(size), str(back))
        assert ended.code == 0, ended.said
        assert back.read_bytes() == firmware.read_bytes()[:size]


@pytest.mark.parametrize("kind", KINDS)
async def test_compressed_for_the_rom_and_plain_for_the_stub(kind: str, firmware: Path) -> None:
    async with EspBoard(kind) as board:
        for options in ((),) if CHIPS[kind].plain_rom else (("--no-stub",), ()):
            compress = "--compress" if options else "--no-compress"
            ended = await esptool(
                board.port, *STAY, *options, "write-flash", compress, hex(APP), str(firmware)
            )
            assert ended.code == 0, ended.said
            assert written(board, firmware)


async def test_what_was_on_the_flash_is_erased_by_sectors(firmware: Path, tmp_path: Path) -> None:
    before = payload(4 << 20, seed=2)
    async with EspBoard(content=before) as board:
        assert (await write(board, firmware)).code == 0
        end = APP + firmware.stat().st_size
        sector = -(-end // 4096) * 4096
        after = before[:APP] + firmware.read_bytes() + ERASED * (sector - end) + before[sector:]
        assert bytes(board.flash) == after

        assert (await esptool(board.port, *STAY, "erase-region", "0x2000", "0x1000")).code == 0
        assert bytes(board.flash) == after[:0x2000] + ERASED * 0x1000 + after[0x3000:]
        assert (await esptool(board.port, *STAY, "erase-flash")).code == 0
        assert bytes(board.flash) == ERASED * (4 << 20)


@pytest.mark.parametrize("wire", [TcpWire, lambda: PtyWire(FaultyLine(1, split=True))])
async def test_over_tcp_and_in_pieces(wire: type[Wire], firmware: Path) -> None:
    async with EspBoard("esp32", wire()) as board:
        assert (await write(board, firmware)).code == 0
        assert written(board, firmware)


async def test_over_rfc_2217_the_control_lines_reset_it(tmp_path: Path) -> None:
    image = esp_image(CHIPS["esp32c3"].chip_id)
    async with EspBoard("esp32c3", Rfc2217Wire(), content=image) as board:
        await board.power_on(loader=False)
        assert board.state == "app"
        ended = await esptool(board.port, "--chip", "esp32c3", "--no-stub", "read-mac")
        assert ended.code == 0, ended.said
        told = [(event.what, event.detail) for event in board.events.all]
        assert told[2:] == [
            ("reset", ""),
            ("boot", "loader"),
            ("sync", "ROM"),
            ("reset", ""),
            ("boot", "app"),
        ]


async def test_over_rfc_2217_it_is_written(tmp_path: Path) -> None:
    """In secure download mode, because esptool asks least then: each of its questions takes 0.3 s."""
    file = tmp_path / "firmware.bin"
    file.write_bytes(payload(4096))
    async with EspBoard("esp32c3", Rfc2217Wire()) as board:
        board.faults.secure_download = True
        options = ("--chip", "esp32c3", "--no-stub", "write-flash", "--flash-size", "4MB")
        ended = await esptool(board.port, *options, hex(APP), str(file))
        assert ended.code == 0, ended.said
        assert written(board, file)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
async def test_over_rfc_2217_all_the_way(kind: str, firmware: Path) -> None:
    async with EspBoard(kind, Rfc2217Wire()) as board:
        ended = await esptool(board.port, "write-flash", hex(APP), str(firmware))
        assert ended.code == 0, ended.said
        assert written(board, firmware)
        assert len(board.events.named("reset")) == 2


async def test_without_a_capacitor_at_its_reset_pin_it_misses_the_loader_over_a_network() -> None:
    async with EspBoard("esp32c3", Rfc2217Wire()) as board:
        board.faults.no_capacitor = True
        ended = await esptool(board.port, "--connect-attempts", "1", "--no-stub", "read-mac")
        assert ended.code != 0
        assert "Wrong boot mode detected (0xf)" in ended.said
        assert board.fired["no capacitor"]


async def test_the_stub_stays_if_it_is_wanted(firmware: Path) -> None:
    async with EspBoard() as board:
        before = ("--before", "no-reset", "--after", "no-reset-stub")
        assert (await esptool(board.port, *before, "flash-id")).code == 0
        assert board.state == "stub"
        ended = await esptool(board.port, *before, "write-flash", hex(APP), str(firmware))
        assert "already running" in ended.said
        assert written(board, firmware)


async def test_at_921600_baud_with_the_speed_of_such_a_line(firmware: Path) -> None:
    async with EspBoard("esp32", PtyWire(PacedLine(921_600))) as board:
        ended = await write(board, firmware, "--baud", "921600")
        assert ended.code == 0, ended.said
        assert written(board, firmware)
        assert board.events.named("baud") == ["921600"]


async def test_a_tool_at_another_rate_is_not_understood(firmware: Path) -> None:
    async with EspBoard("esp32c3") as board:
        once = ("--connect-attempts", "1")
        assert (await write(board, firmware, "--no-stub", "--baud", "460800")).code == 0
        ended = await write(board, firmware, *once)
        assert ended.code != 0
        assert "No serial data received" in ended.said
        assert board.events.named("garbage")
        await board.power_on()
        assert (await write(board, firmware, *once)).code == 0


async def test_left_to_its_program_it_runs_what_is_on_the_flash(tmp_path: Path) -> None:
    image = tmp_path / "image.bin"
    image.write_bytes(esp_image(CHIPS["esp32"].chip_id))
    soft = ("--before", "no-reset", "--after", "soft-reset", "--no-stub")
    async with EspBoard("esp32") as board:
        assert (await esptool(board.port, *soft, "write-flash", "0x1000", str(image))).code == 0
        assert board.events.named("boot") == ["loader", "app"]
        assert (await esptool(board.port, *STAY, "--connect-attempts", "1", "flash-id")).code != 0


# What goes wrong -----------------------------------------------------------------------------------


async def test_esptool_refuses_another_chip_than_it_was_told(firmware: Path) -> None:
    async with EspBoard("esp32") as board:
        ended = await write(board, firmware, "--chip", "esp32c3")
        assert ended.code != 0
        assert "This chip is ESP32, not ESP32-C3" in ended.said
        assert board.flash.written == 0


async def test_esptool_refuses_the_image_of_another_chip(tmp_path: Path) -> None:
    image = tmp_path / "c3.bin"
    image.write_bytes(esp_image(CHIPS["esp32c3"].chip_id))
    async with EspBoard("esp32") as board:
        ended = await write(board, image, at=0x1000)
        assert ended.code != 0
        assert "Use --force" in ended.said
        assert board.flash.written == 0
    async with EspBoard("esp32c3") as board:
        assert (await write(board, image, at=0)).code == 0
        assert written(board, image, 0)


@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
@pytest.mark.parametrize("code", [0x05, 0x07])
async def test_a_block_that_is_refused_twice_is_repeated(
    code: int, loader: tuple[str, ...], firmware: Path
) -> None:
    async with EspBoard() as board:
        board.faults.refuse[Op.FLASH_DATA if loader else Op.DEFL_DATA, code] = 2
        ended = await write(board, firmware, *loader)
        assert ended.code == 0, ended.said
        assert written(board, firmware)
        assert sum(board.fired.values()) == 2


@pytest.mark.parametrize(("code", "words"), [(0x05, "message is invalid"), (0x07, "Checksum error")])
async def test_a_block_that_is_refused_always_ends_it(code: int, words: str, firmware: Path) -> None:
    async with EspBoard("esp32") as board:
        board.faults.refuse[Op.FLASH_DATA, code] = 3
        ended = await write(board, firmware, "--no-stub")
        assert ended.code != 0
        assert words in ended.said
        assert not written(board, firmware)


@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
async def test_a_wrong_checksum_of_the_flash_is_seen(loader: tuple[str, ...], firmware: Path) -> None:
    async with EspBoard() as board:
        board.faults.wrong_md5 = 1
        ended = await write(board, firmware, *loader)
        assert ended.code != 0
        assert "MD5 of file does not match" in ended.said
        assert board.fired["wrong MD5"] == 1


async def test_a_weak_bit_and_a_protected_flash_are_seen(firmware: Path) -> None:
    async with EspBoard() as board:
        board.flash.faults.weak = {APP + 12_345}
        ended = await write(board, firmware)
        assert ended.code != 0
        assert "MD5 of file does not match" in ended.said
        different = [
            at for at, byte in enumerate(firmware.read_bytes()) if board.flash.read(APP + at, 1)[0] != byte
        ]
        assert different == [12_345]
    async with EspBoard() as board:
        board.flash.faults.protected = True
        assert (await write(board, firmware)).code != 0
        assert bytes(board.flash) == ERASED * len(board.flash)


@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
async def test_power_lost_in_the_middle_leaves_half_and_another_run_completes(
    loader: tuple[str, ...], firmware: Path
) -> None:
    async with EspBoard() as board:
        board.flash.faults.power_loss_after = 40_001
        ended = await write(board, firmware, *loader)
        assert ended.code != 0
        assert board.events.named("power lost") == ["after 40001 bytes"]
        half = firmware.read_bytes()[:40_001]
        assert board.flash.read(APP, 40_002) == half + ERASED
        await board.power_on()
        assert (await write(board, firmware, *loader)).code == 0
        assert written(board, firmware)


async def test_a_lost_answer_ends_it(firmware: Path) -> None:
    async with EspBoard("esp32") as board:
        board.faults.lost_answers[Op.FLASH_DATA] = 1
        ended = await write(board, firmware, "--no-stub")
        assert ended.code != 0
        assert board.fired["FLASH_DATA answer lost"] == 1


async def test_a_stub_that_does_not_run_is_seen() -> None:
    async with EspBoard() as board:
        board.faults.no_stub = True
        ended = await esptool(board.port, *STAY, "flash-id")
        assert ended.code != 0
        assert "Failed to start stub flasher" in ended.said


async def test_in_secure_download_mode_nothing_can_be_read() -> None:
    async with EspBoard("esp32c3") as board:
        board.faults.secure_download = True
        ended = await esptool(board.port, *STAY, "read-mac")
        assert "not available in Secure Download Mode" in ended.said
        ended = await esptool(board.port, *STAY, "get-security-info")
        assert "Chip ID: 5" in ended.said


@pytest.mark.parametrize("loader", [("--no-stub",), ()], ids=["ROM", "stub"])
@pytest.mark.parametrize("faults", [Faults(drop=2e-4), Faults(flip=2e-4)], ids=["drop", "flip"])
async def test_noise_on_the_line_never_passes_for_success(
    faults: Faults, loader: tuple[str, ...], firmware: Path
) -> None:
    line = FaultyLine(7, faults)
    async with EspBoard("esp32c3", PtyWire(line)) as board:
        ended = await write(board, firmware, *loader)
        assert sum(line.fired.values()), "else this shows nothing"
        assert ended.code != 0 or written(board, firmware)


async def test_erasing_takes_its_time_and_the_tool_waits(firmware: Path) -> None:
    async with EspBoard() as board:
        board.flash.faults.erase_s = 0.4  # for 64 KiB
        assert (await write(board, firmware, "--no-stub")).code == 0
        assert board.flash.fired["slow erase"]
        assert written(board, firmware)
