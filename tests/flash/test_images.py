"""Images for ESP chips as MicroPython makes them: several in one file, and for the ESP8266 without ids."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.flash import esp_image, firmware
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.esp import EspFlasher
from tests.flash.bench import Bench
from tests.hil.flashing import esp_image as made

C3, TABLE, PROGRAM = 5, 0x8000, 0x10000


def with_digest(image: bytes) -> bytes:
    """As IDF appends it: announced in the header."""
    marked = image[:23] + b"\1" + image[24:]
    return marked + hashlib.sha256(marked).digest()


def combined(program: bytes, loader: bytes = b"") -> bytes:
    """Boot loader, table of partitions, program: what can be downloaded."""
    entry = struct.pack("<HBBII16sI", 0x50AA, 0, 0, PROGRAM, 0x100000, b"factory", 0)
    data = struct.pack("<HBBII16sI", 0x50AA, 1, 2, 0x9000, 0x6000, b"nvs", 0)
    head = (loader or with_digest(made(C3, 4096))).ljust(TABLE, b"\xff")
    return (head + data + entry).ljust(PROGRAM, b"\xff") + program


def refused(image: bytes, mcu: str = "esp32c3", offset: int = 0) -> str:
    with pytest.raises(FlashError) as caught:
        esp_image.check(image, mcu, offset)
    assert caught.value.code is Code.BAD_IMAGE
    return caught.value.reason


def test_all_that_a_file_holds_is_looked_at() -> None:
    good = combined(with_digest(made(C3, 8192)))
    esp_image.check(good, "esp32c3", 0)
    assert refused(good[:-1] + bytes((good[-1] ^ 1,))) == "factory: its digest does not fit what it holds"
    assert refused(good[:-100]).startswith("factory: it is cut off")
    assert refused(combined(made(0, 8192))) == (
        "factory: this is firmware for esp32, and the board has esp32c3"
    )
    flipped = bytearray(good)
    flipped[PROGRAM + 100] ^= 4
    assert refused(bytes(flipped)).startswith("factory: its checksum is")


def test_an_esp32_file_begins_at_its_boot_loader() -> None:
    offset = 0x1000
    whole = combined(with_digest(made(0, 8192)), loader=b"\xff" * offset + with_digest(made(0, 4096)))
    esp_image.check(whole[offset:], "esp32", offset)
    assert "factory" in refused(whole[offset:-1], "esp32", offset)


@pytest.mark.parametrize("at", range(24))
def test_whatever_is_cut_off_is_an_error_and_no_crash(at: int) -> None:
    refused(with_digest(made(C3, 256))[: at * 13])


def test_an_esp8266_learns_how_large_its_flash_is() -> None:
    head = struct.pack("<BBBBI", 0xE9, 1, 2, 0x40 | 0xF, 0x40100000)
    content = b"\1\2\3\4" * 30
    body = head + struct.pack("<II", 0x40100000, len(content)) + content
    checksum = 0xEF
    for byte in content:
        checksum ^= byte
    image = body + bytes(15 - len(body) % 16) + bytes((checksum,))
    esp_image.check(image, "esp8266", 0)
    assert esp_image.with_flash_size(image, 1 << 20)[3] == 0x2F
    assert esp_image.with_flash_size(image, 4 << 20) == image
    assert esp_image.with_flash_size(image, 12345) == image
    definition = boards.definition("esp8266").definition
    assert EspFlasher.checked(definition, image, 0)[0].data == image


# Pinned ---------------------------------------------------------------------------------------------


def pinned(bench: Bench, sha256: str, *, size: int = 0) -> boards.BoardFile:
    text = Path(boards.definition("emulated-esp32c3").path).read_text()
    text += f'\n[[image]]\nversion = "1.27.0"\nsha256 = "{sha256}"\nfile = "fw.bin"\nsize = {size}\n'
    path = bench.folder / "mine.toml"
    path.write_text(text)
    return boards.read(path)


def test_a_pinned_image_is_found_beside_its_definition_and_told_by_its_version(bench: Bench) -> None:
    data = made(C3, 4096)
    (bench.folder / "fw.bin").write_bytes(data)
    board = pinned(bench, hashlib.sha256(data).hexdigest(), size=len(data))
    assert firmware.pinned(board).version == "1.27.0"
    other = bench.folder / "renamed.bin"
    other.write_bytes(data)
    assert firmware.from_file(other, board).version == "1.27.0"


def test_a_pinned_image_that_is_another_one_or_not_here(bench: Bench) -> None:
    board = pinned(bench, "00" * 32)
    with pytest.raises(FlashError, match="fw.bin: not here; download it from .*, then --image FILE"):
        firmware.pinned(board)
    (bench.folder / "fw.bin").write_bytes(b"something else")
    with pytest.raises(FlashError, match=f"its sha256 is .*, not {'00' * 32}"):
        firmware.pinned(board)
