"""Flashing tools as people have them, in processes of their own, and something to flash."""

from __future__ import annotations

import asyncio
import functools
import operator
import random
import struct
import sys
from typing import NamedTuple

ESP_CHECKSUM_SEED = 0xEF
ESP32_RAM = 0x3FFB0000


class Ended(NamedTuple):
    """How a tool ended."""

    code: int
    said: str


async def run(*command: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, said.decode(errors="replace"))


async def esptool(port: str, *arguments: str) -> Ended:
    return await run(sys.executable, "-m", "esptool", "--port", port, *arguments)


def payload(size: int, seed: int = 1) -> bytes:
    """Half of it can be compressed."""
    return random.Random(seed).randbytes(size // 2) + b"boardtalk".ljust(16) * (size // 32)


def esp_image(chip_id: int, size: int = 8192) -> bytes:
    """What an ESP's ROM would load: one segment, with header and checksum."""
    content = payload(size)
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, ESP32_RAM)
    more = struct.pack("<BBBBHBHH4sB", 0xEE, 0, 0, 0, chip_id, 0, 0, 0xFFFF, bytes(4), 0)
    image = header + more + struct.pack("<II", ESP32_RAM, len(content)) + content
    checksum = functools.reduce(operator.xor, content, ESP_CHECKSUM_SEED)
    return image + bytes(15 - len(image) % 16) + bytes((checksum,))
