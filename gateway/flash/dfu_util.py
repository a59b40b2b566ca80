"""The program dfu-util: how it is run, and what its words mean. They are those of version 0.11."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.flash.errors import Code, FlashError
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from boardtalk.boards import UsbId

PROGRAM: Final = "dfu-util"
SILENCE_S: Final = 60.0
"""It says nothing while a whole flash is erased, which takes up to half a minute."""
READ_BYTES: Final = 4096
LINES: Final = re.compile(r"[\r\n]")
FOUND: Final = re.compile(
    r"Found DFU: \[(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})\]"
    r'.* path="(?P<place>[^"]*)", alt=0, name="(?P<name>[^"]*)", serial="(?P<serial>[^"]*)"'
)
"""A device, by the first of its settings, which is the flash."""
FAR: Final = re.compile(r"(?:Download|Upload)\s*\[[= ]*\]\s*\d+%\s+(\d+) bytes")
ACCESS: Final = re.compile(r"Cannot open DFU device (\w+):(\w+) found .*LIBUSB_ERROR_ACCESS")
SAID: Final = re.compile(rf"{PROGRAM}: (.+)")
RULES: Final = "/etc/udev/rules.d/60-boards.rules"
RULE: Final = 'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{}", ATTRS{{idProduct}}=="{}", TAG+="uaccess"'


class Waiting(NamedTuple):
    """A device that waits in its loader."""

    ids: UsbId
    place: str
    """Where it is plugged in, such as `1-2.4`."""
    name: str
    """Of its first setting: `@Internal Flash  /0x08000000/04*016Kg,…`."""
    serial: str


async def waiting(port: str) -> list[Waiting]:
    """All devices that wait in a loader.

    Args:
        port: for messages.

    Raises:
        FlashError: dfu-util is not here, or may not open one that is.
    """
    lines = [line async for line in _run(port, "--list")]
    found = [
        Waiting((int(each["vendor"], 16), int(each["product"], 16)), *each.group("place", "name", "serial"))
        for each in map(FOUND.match, lines)
        if each
    ]
    if not found and any(map(ACCESS.search, lines)):
        raise _failure(port, lines)
    return found


async def transfer(port: str, device: Waiting, *words: str, data: bytes = b"") -> AsyncGenerator[int, None]:
    """Have something done to one device; the bytes that are done, ever more.

    Args:
        port: for messages.
        device: which.
        words: what.
        data: its input.

    Raises:
        FlashError: it failed.
    """
    vendor, product = device.ids
    which = ("--device", f",{vendor:04x}:{product:04x}", "--path", device.place, "--alt", "0")
    async for line in _run(port, *which, *words, data=data):
        if far := FAR.fullmatch(line):
            yield int(far[1])


async def _run(port: str, *words: str, data: bytes = b"") -> AsyncGenerator[str, None]:
    """Its lines, as they come."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise FlashError(Code.UNSUPPORTED, f"{PROGRAM} is not installed", f"`sudo apt install {PROGRAM}`")
    process = await asyncio.create_subprocess_exec(
        *leashed(program, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us to hear: a piece is finished first
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
    try:
        process.stdin.write(data)
        process.stdin.close()
        lines, rest = [], ""
        while part := await _within(port, process.stdout.read(READ_BYTES)):
            *whole, rest = LINES.split(rest + part.decode(errors="replace"))
            for line in whole:
                yield line
            lines += [line for line in whole if not FAR.fullmatch(line)]
        if await process.wait():
            raise _failure(port, [*lines, rest])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _within(port: str, work: Coroutine[None, None, bytes]) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await work
    except TimeoutError as error:
        raise FlashError(Code.LINK, f"{port}: {PROGRAM} hangs") from error


def _failure(port: str, lines: list[str]) -> FlashError:
    """Its last words as an error of ours."""
    text = "\n".join(lines)
    said = SAID.findall(text)  # it does not end a line of progress before it complains
    reason = f"{port}: {said[-1] if said else f'{PROGRAM} failed'}"
    if refused := ACCESS.search(text):
        return FlashError(
            Code.PORT_BUSY,
            f"{port}: you may not open the USB device {refused[1]}:{refused[2]}",
            f"put this line into {RULES}, then plug the board in anew: {RULE.format(*refused.groups())}",
        )
    if "LIBUSB_ERROR_BUSY" in text:
        return FlashError(Code.PORT_BUSY, f"{port}: another program has the board", "end that")
    if "No DFU capable USB device" in text:
        return FlashError(Code.LINK, f"{port}: the board has gone")
    if "vendor specific error" in text or "Wrong state after command" in text:
        return FlashError(
            Code.LINK,
            reason,
            "if it does so each time, it is protected against reading and writing; "
            f"`{PROGRAM} -a 0 -s :unprotect:force` takes that away, and all that is on it",
        )
    return FlashError(Code.LINK, reason)
