"""What emulated boot loaders are made of: flash, packets, and what no tool does on purpose."""

from __future__ import annotations

import asyncio
import functools
import operator
import os
import struct
import termios
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.hil.loaders import slip
from boardtalk.hil.loaders.closings import Closings
from boardtalk.hil.loaders.esp import MAC, Esp
from boardtalk.hil.loaders.esp_chips import ESP32, ESP32C3, EspChip
from boardtalk.hil.loaders.esp_loader import Op
from boardtalk.hil.loaders.events import Events, NotSeen
from boardtalk.hil.loaders.flash import Flash, OutOfFlash, PowerLost
from boardtalk.hil.loaders.stm32 import CHIPS as STM32
from boardtalk.hil.loaders.stm32 import Command, Stm32
from boardtalk.hil.loaders.wire import PtyWire


def test_flash_loses_bits_by_writing_and_gets_them_back_by_erasing_whole_sectors() -> None:
    flash = Flash(3 * 4096)
    flash.write(4090, b"\xf0" * 12)
    flash.write(4090, b"\x3c" * 12)
    assert flash.read(4089, 14) == b"\xff" + b"\x30" * 12 + b"\xff"
    flash.erase(4100, 1)
    assert bytes(flash) == b"\xff" * 4090 + b"\x30" * 6 + b"\xff" * 8192


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60))
def test_a_write_that_loses_its_power_is_written_up_to_there(data: bytes, left: int) -> None:
    flash = Flash(4096)
    flash.faults.power_loss_after = left
    if left < len(data):
        with pytest.raises(PowerLost):
            flash.write(0, data)
        assert flash.fired["power loss"] == 1
    else:
        flash.write(0, data)
    assert bytes(flash) == data[:left].ljust(4096, b"\xff")


@pytest.mark.parametrize(("at", "size"), [(-1, 1), (4096, 1), (0, 4097)])
def test_there_is_no_flash_beyond_its_end(at: int, size: int) -> None:
    flash = Flash(4096)
    for use in (flash.read, flash.erase):
        with pytest.raises(OutOfFlash):
            use(at, size)
    with pytest.raises(OutOfFlash):
        flash.write(at, bytes(size))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 9))
def test_packets_arrive_however_the_stream_is_cut(packets: list[bytes], size: int) -> None:
    stream = b"".join(map(slip.encode, packets))
    reader = slip.SlipReader()
    got = [packet for at in range(0, len(stream), size) for packet in reader.feed(stream[at : at + size])]
    assert got == packets


async def test_what_does_not_happen_is_told_with_what_did() -> None:
    events = Events()
    events.note("boot", "loader")
    with pytest.raises(NotSeen, match=r"no 'sync' within 0.01 s; the last were \['boot loader'\]"):
        await events.until("sync", within=0.01)


async def test_a_port_can_vanish_and_come_back() -> None:
    async with PtyWire() as wire:
        port = wire.port
        await wire.unplug()
        await wire.send(b"into the void")
        assert wire.baud == 0
        wire.plug()
        assert wire.port == port
        with Path(port).open("wb", buffering=0) as file:
            file.write(b"here")
        assert await wire.received.get() == b"here"


OPS = st.sampled_from([0x42, *Op])
WORDS = st.lists(st.sampled_from([0, 1, 4096, 1 << 20, 2**32 - 1]), max_size=8)


@given(
    st.lists(st.tuples(OPS, WORDS, st.binary(max_size=20)), max_size=12), st.sampled_from([ESP32, ESP32C3])
)
def test_no_packet_ends_an_esp(packets: list[tuple[int, list[int], bytes]], kind: EspChip) -> None:
    esp = chip(kind)
    for op, words, rest in packets:
        esp.hear(command(op, struct.pack(f"<{len(words)}I", *words), rest), 115200)
        esp.hear(rest, 115200)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([bytes((each, each ^ 0xFF)) for each in Command])))
def test_no_byte_ends_an_stm32(pieces: list[bytes]) -> None:
    kind = STM32["stm32f405"]
    stm32 = Stm32(kind, Flash(kind.size, sector=16384))
    stm32.boot(loader=True)
    for piece in (b"\x7f", *pieces):
        stm32.hear(piece, 115200)


# Packets that esptool does not send ---------------------------------------------------------------


def chip(kind: EspChip = ESP32C3) -> Esp:
    esp = Esp(kind, MAC, Flash(1 << 20))
    esp.boot(loader=True)
    return esp


def command(op: int, data: bytes = b"", content: bytes = b"", size: int | None = None) -> bytes:
    checksum = functools.reduce(operator.xor, content, 0xEF)
    size = len(data + content) if size is None else size
    return slip.encode(struct.pack("<BBHI", 0, op, size, checksum) + data + content)


def answers(esp: Esp, sent: bytes) -> list[bytes]:
    return slip.SlipReader().feed(esp.hear(sent, 0))


def status(esp: Esp, sent: bytes) -> bytes:
    return answers(esp, sent)[-1][-4:-2]


def block(number: int, content: bytes) -> bytes:
    return command(Op.DEFL_DATA, struct.pack("<IIII", len(content), number, 0, 0), content)


def test_a_block_that_is_repeated_is_not_inflated_twice() -> None:
    esp = chip()
    content = zlib.compress(bytes(range(256)) * 4)
    esp.hear(command(Op.DEFL_BEGIN, struct.pack("<IIII", 1024, 2, 100, 0)), 0)
    for number, piece in ((0, content[:100]), (0, content[:100]), (1, content[100:]), (1, content[100:])):
        assert status(esp, block(number, piece)) == b"\0\0"
    assert esp.flash.read(0, 1024) == bytes(range(256)) * 4
    assert esp.flash.written == 1024


def test_what_is_wrong_is_refused_with_the_code_of_the_rom() -> None:
    esp = chip()
    begin = struct.pack("<IIII", 1024, 1, 1024, 0)
    assert status(esp, block(0, b"x")) == b"\x01\x06", "nothing has begun"
    esp.hear(command(Op.DEFL_BEGIN, begin), 0)
    assert status(esp, block(3, b"x")) == b"\x01\x06", "not the next one"
    assert status(esp, block(0, b"no zlib")) == b"\x01\x0b"
    damaged = command(Op.DEFL_DATA, struct.pack("<IIII", 2, 0, 0, 0), b"xy").replace(b"xy", b"xz")
    assert status(esp, damaged) == b"\x01\x07"
    assert status(esp, command(Op.READ_REG, bytes(4), size=7)) == b"\x01\x05"
    assert status(esp, command(Op.READ_REG, bytes(3))) == b"\x01\x06"
    assert status(esp, command(Op.FLASH_BEGIN, struct.pack("<IIII", 4096, 1, 1, 1 << 20))) == b"\x01\x06"
    assert esp.flash.written == 0


def test_a_silent_rom_says_nothing_to_it() -> None:
    esp = chip()
    esp.faults.silent = True
    assert answers(esp, block(0, b"x")) == []
    assert esp.fired["silent"] == 1


@pytest.mark.parametrize("op", [0x42, Op.ERASE_FLASH, Op.GET_SECURITY_INFO])
def test_what_a_rom_does_not_know_it_refuses_several_times(op: int) -> None:
    told = answers(chip(ESP32), command(op))
    assert len(told) == 8
    assert all(answer[1] != op and answer[-4:-2] == b"\x01\x05" for answer in told)


def test_in_secure_download_mode_nothing_can_be_read() -> None:
    esp = chip()
    esp.faults.secure_download = True
    for op in (Op.READ_REG, Op.MEM_BEGIN, Op.READ_FLASH_SLOW, Op.SPI_FLASH_MD5):
        assert status(esp, command(op, bytes(16))) == b"\x01\x05"
    assert esp.fired["secure download"] == 4
    assert status(esp, command(Op.SPI_ATTACH, bytes(8))) == b"\0\0"


async def test_a_port_that_is_opened_again_while_its_closing_is_noticed_keeps_the_rate_of_who_opened_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with PtyWire() as wire:
        real, opened = Closings._holders, list[int]()

        def opened_just_behind(closings: Closings) -> set[Path]:
            found = real(closings)
            if not opened:
                opened.append(os.open(wire.port, os.O_RDWR | os.O_NOCTTY))
                settings = termios.tcgetattr(opened[0])
                settings[4] = settings[5] = termios.B230400
                termios.tcsetattr(opened[0], termios.TCSANOW, settings)
            return found

        first = os.open(wire.port, os.O_RDWR | os.O_NOCTTY)
        await asyncio.sleep(0.05)
        monkeypatch.setattr(Closings, "_holders", opened_just_behind)
        os.close(first)
        async with asyncio.timeout(5):
            while not opened:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert wire.baud == 230400
        os.close(opened[0])
