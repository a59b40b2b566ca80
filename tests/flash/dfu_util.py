"""A stand-in for dfu-util 0.11: what `boardtalk flash` asks of it, word for word; test_dfu.py compares them.

It is run as a program, and sees the boards of `dfu_board.py`.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.flash.dfu_board import FIELDS, FLASH_AT, FLASH_BYTES, HEAD, NEVER, SECTORS, DfuBoard, boards

ABOUT = """dfu-util 0.11

Copyright 2005-2009 Weston Schmidt, Harald Welte and OpenMoko Inc.
Copyright 2010-2021 Tormod Volden and Stefan Schmidt
This program is Free Software and has ABSOLUTELY NO WARRANTY
Please report bugs to http://sourceforge.net/p/dfu-util/tickets/
"""
NAMES = (
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", "@Option Bytes  /0x1FFFC000/01*016 e",
    "@OTP Memory /0x1FFF7800/01*512 e,01*016 e", "@Device Feature/0xFFFF0000/01*004 e",
)  # fmt: skip
VENDOR = "DFU state(10) = dfuERROR, status(11) = iString indicates a vendor specific error"
BLOCK = 2048
BAR = 25
USAGE, INPUT_OUTPUT, PROTOCOL = 64, 74, 76


def failed(reason: str, code: int) -> SystemExit:
    print(f"dfu-util: {reason}", file=sys.stderr)
    return SystemExit(code)


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def main() -> None:
    words = argparse.ArgumentParser()
    for short, name in (("l", "list"), ("d", "device"), ("p", "path"), ("a", "alt"), ("s", "dfuse-address")):
        words.add_argument(f"-{short}", f"--{name}", **({"action": "store_true"} if short == "l" else {}))
    words.add_argument("-D", "--download")
    words.add_argument("-U", "--upload")
    told = words.parse_args()
    say(ABOUT)
    data = _input(told.download) if told.download else None
    seen = _seen(told.path)
    if told.list:
        for board, number in seen:
            for alternate in (3, 2, 1, 0):
                say(
                    f"Found DFU: [0483:df11] ver=2200, devnum={10 + number}, cfg=1, intf=0, "
                    f'path="{board.place}", alt={alternate}, name="{NAMES[alternate]}", '
                    f'serial="357F3776303{number + 1}"'
                )
        return
    if not seen:
        raise failed("No DFU capable USB device available", INPUT_OUTPUT)
    Device(seen[0][0]).do(told.dfuse_address, data, told.upload)


def _input(name: str) -> bytes:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    short = len(data) < 16
    reason = "File too short for DFU suffix" if short else "Invalid DFU suffix signature"
    print(f"dfu-util: Warning: {reason}", file=sys.stderr)
    print("dfu-util: A valid DFU suffix will be required in a future dfu-util release", file=sys.stderr)
    return data


def _seen(path: str | None) -> list[tuple[DfuBoard, int]]:
    found = []
    for number, board in reversed(list(enumerate(boards()))):
        if not board["present"] or (path and path != board.place):
            continue
        if board["no_access"]:
            reason = f"0483:df11 found on devnum {10 + number} (LIBUSB_ERROR_ACCESS)"
            print(f"dfu-util: Cannot open DFU device {reason}", file=sys.stderr)
            continue
        found.append((board, number))
    return found


class Device:
    """A board while it is open."""

    def __init__(self, board: DfuBoard) -> None:
        self.board = board
        self.memory = board.memory()

    def get(self, field: str) -> int:
        return int(struct.unpack_from("<i", self.memory, 4 * FIELDS.index(field))[0])

    def set(self, field: str, value: int) -> None:
        struct.pack_into("<i", self.memory, 4 * FIELDS.index(field), value)

    def do(self, address: str, data: bytes | None, upload: str | None) -> None:
        say("Opening DFU capable USB device...\nDevice ID 0483:df11\nDevice DFU version 011a")
        say("Claiming USB DFU Interface...")
        if self.get("busy"):
            raise failed("Cannot claim interface - LIBUSB_ERROR_BUSY", INPUT_OUTPUT)
        say("Setting Alternate Interface #0 ...\nDetermining device status...")
        say("DFU state(2) = dfuIDLE, status(0) = No error condition is present")
        say("DFU mode device DFU version 011a\nDevice returned transfer size 2048")
        where, *modifiers = address.split(":")
        at = int(where, 16) - FLASH_AT
        say('DfuSe interface name: "Internal Flash  "')
        if data is not None:
            self.download(at, data)
        elif upload:
            self.upload(at, int(modifiers[0]), Path(upload))
        elif "mass-erase" in modifiers:
            say("Performing mass erase, this can take a moment")
            self.allowed("MASS_ERASE")
            self.memory[HEAD:] = b"\xff" * FLASH_BYTES
            self.set("erased", self.get("erased") + 1)
            say("DfuSe command mode")
        else:
            say("DfuSe command mode")
        if "leave" in modifiers:
            self.allowed("SET_ADDRESS")
            say("Submitting leave request...\nTransitioning to dfuMANIFEST state")
            self.set("left", self.get("left") + 1)
            self.set("present", 0)

    def download(self, at: int, data: bytes) -> None:
        say(f"Downloading element to address = {at + FLASH_AT:#010x}, size = {len(data)}")
        if at + len(data) > FLASH_BYTES:
            last = at + len(data) - 1 + FLASH_AT
            raise failed(f"Last page at {last:#010x} is not writeable", USAGE)
        start = 0
        touched = [
            (begin, size * 1024)
            for begin, size in zip(
                (sum(SECTORS[:n]) * 1024 for n in range(len(SECTORS))), SECTORS, strict=True
            )
            if begin < at + len(data) and at < begin + size * 1024
        ]
        progress(b"Erase   ", 0, len(data))
        for begin, size in touched:
            self.allowed("ERASE_PAGE")
            self.memory[HEAD + begin : HEAD + begin + size] = b"\xff" * size
            self.set("erased", self.get("erased") + 1)
        for start in range(BLOCK, len(data) + BLOCK, BLOCK):
            progress(b"Erase   ", min(start, len(data)), len(data))
        say("Erase    done.")
        progress(b"Download", 0, len(data))
        for start in range(0, len(data), BLOCK):
            self.program(at + start, data[start : start + BLOCK])
            progress(b"Download", min(start + BLOCK, len(data)), len(data))
        say("Download done.\nFile downloaded successfully")

    def program(self, at: int, data: bytes) -> None:
        time.sleep(self.get("slow_ms") / 1000)
        for place, byte in enumerate(data, at):
            left = self.get("power_loss_after")
            if left != NEVER:
                self.set("power_loss_after", left - 1)
            if left == 0:
                self.set("present", 0)
                reason = "dfuse_download: libusb_control_transfer returned -4 (LIBUSB_ERROR_NO_DEVICE)"
                print(f"dfu-util: {reason}", file=sys.stderr)
                raise failed("Error during download", INPUT_OUTPUT)
            self.memory[HEAD + place] &= byte
            if place == self.get("weak_at"):
                self.memory[HEAD + place] ^= 1
            self.set("written", self.get("written") + 1)

    def upload(self, at: int, size: int, file: Path) -> None:
        self.allowed("SET_ADDRESS")
        with file.open("xb") as out:
            progress(b"Upload", 0, size)
            for start in range(0, size, BLOCK):
                out.write(self.memory[HEAD + at + start : HEAD + at + min(start + BLOCK, size)])
                progress(b"Upload", min(start + BLOCK, size), size)
        say("Upload done.")

    def allowed(self, command: str) -> None:
        if self.get("is_protected"):
            print(VENDOR, file=sys.stderr)
            raise failed(f'Wrong state after command "{command}" download', PROTOCOL)


def progress(name: bytes, done: int, total: int, _last: dict[bytes, int] = {}) -> None:  # noqa: B006 - its memory
    """One more sign of the bar at a time, or nothing."""
    signs = done * BAR // total if total else BAR
    if done and _last.get(name) == signs:
        return
    _last[name] = signs
    percent = done * 100 // total if total else 100
    say(
        f"\r{name.decode()}\t[{'=' * signs:{BAR}}] {percent:3}% {done:12} bytes",
        "\n" if done == total else "",
    )


if __name__ == "__main__":
    main()
