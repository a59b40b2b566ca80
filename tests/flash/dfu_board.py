"""Emulated STM32F405 in their USB loader: files that a dfu-util sees as devices.

Which dfu-util: the real one, over a stand-in for libusb (`libusb.c`), where it and a C compiler are
installed; and a stand-in for dfu-util itself (`dfu_util.py`), which says and does the same.
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = (
    "present", "no_access", "busy", "is_protected", "power_loss_after", "slow_ms", "weak_at", "left",
    "erased", "written",
)  # fmt: skip
HEAD = 64
FLASH_AT, FLASH_BYTES = 0x08000000, 1 << 20
SECTORS = (16,) * 4 + (64,) + (128,) * 7
NEVER = -1
LIST = "BOARDTALK_DFU"


class DfuBoard:
    """One board. Each of `FIELDS` can be read and set at any time, as `board["busy"] = 1`.

    Args:
        file: what outlives the programs that see it.
        place: where it is plugged in.
    """

    def __init__(self, file: Path, place: str) -> None:
        self.file, self.place = file, place
        if not file.exists():
            file.write_bytes(bytes(HEAD) + b"\xff" * FLASH_BYTES)
            self["present"], self["power_loss_after"], self["weak_at"] = 1, NEVER, NEVER

    @property
    def port(self) -> str:
        return f"usb://{self.place}"

    @property
    def flash(self) -> bytes:
        return self.file.read_bytes()[HEAD:]

    def put(self, content: bytes) -> None:
        self.file.write_bytes(self.file.read_bytes()[:HEAD] + content.ljust(FLASH_BYTES, b"\xff"))

    def power_on(self) -> None:
        """With BOOT0 held."""
        self["present"], self["power_loss_after"] = 1, NEVER

    def __getitem__(self, field: str) -> int:
        with self.file.open("rb") as file:
            file.seek(4 * FIELDS.index(field))
            return struct.unpack("<i", file.read(4))[0]  # type: ignore[no-any-return]

    def __setitem__(self, field: str, value: int) -> None:
        with self.file.open("r+b") as file:
            file.seek(4 * FIELDS.index(field))
            file.write(struct.pack("<i", value))

    def memory(self) -> mmap.mmap:
        """Head and flash as they change, for the stand-in."""
        with self.file.open("r+b") as file:
            return mmap.mmap(file.fileno(), HEAD + FLASH_BYTES)


def plugged(*boards: DfuBoard) -> str:
    """What the environment says of them."""
    return ",".join(f"{board.place}:{board.file}" for board in boards)


def installed(folder: Path, *, real: str = "") -> Path:
    """A folder with a dfu-util: the stand-in, or the real one that sees emulated boards."""
    tool = folder / "dfu-util"
    if real:
        library = folder / "libusb.so"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "libusb.c"], check=True)
        tool.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {real} "$@"\n')
    else:
        tool.write_text(f'#!/bin/sh\nexec {sys.executable} -S {HERE / "dfu_util.py"} "$@"\n')
    tool.chmod(0o755)
    return folder


def boards() -> list[DfuBoard]:
    """Those that the environment tells, for the stand-in."""
    entries = (entry.split(":", 1) for entry in os.environ.get(LIST, "").split(",") if entry)
    return [DfuBoard(Path(file), place) for place, file in entries]
