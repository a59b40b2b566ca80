"""A gateway with boards on a bench, for the pictures of what is put on boards: emulated, all of them.

Two lamps that can be flashed, one that is unplugged, the rover, a board that waits for its address, and an
empty one.
"""

from __future__ import annotations

import asyncio
import functools
import json
import operator
import os
import random
import re
import threading
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.flash import esp_image
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.wire import PtyWire
from boardtalk.hil.paced import PacedLine
from docs.chain import chain

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path
    from typing import Any

UNPLUGGED: Final = "/dev/serial/by-id/usb-Silicon_Labs_CP2102N_0e3d4c5b6a798812-if00-port0"
LONG: Final = "greenhouse-north-weather-station"
"""As long as an address can be."""
KIND: Final = "esp32-c3"
IMAGE: Final = "ESP32_GENERIC_C3-20270115-v1.28.0.bin"
IMAGE_BYTES: Final = 720_000
BAUD: Final = 460_800
RAM: Final = 0x3FC80000
CONF: Final = """\
log_level = warning
broker {{
    port = 0
}}
listen {{
    port = 0
}}
{chain}module flash {{
    users = anna, ben
    boards = lamp-hall: {kind}, lamp-kitchen: {kind}, {long}: {kind}
    new = {kind}
    images = {folder}/images
    releases = {folder}/releases
}}
module iot_bridge {{
}}
"""
BOARD: Final = "board {name} {{\n    port = {port}\n}}\n"
DEFINITION: Final = """\
name = "ESP32-C3"
mcu = "esp32c3"
port = "esp32"
flash_kb = 4096

[[usb]]
id = "10c4:ea60"
mode = "both"
bridge = true

[bootloader]
entry = ["none"]

[flash]
protocol = "esp"
baud = 460800
retry_baud = 115200
"""
"""Of the emulated one, which waits in its loader, under the name of the real one."""
USB: Final = """\
import json, os
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

def comports():
    found = []
    for path, vid, pid, name in json.loads(os.environ["PLUGGED_IN"]):
        port = ListPortInfo(path)
        port.vid, port.pid, port.description = vid, pid, name
        found.append(port)
    return found

list_ports.comports = comports
"""
"""Where pictures are taken there is no USB."""


class Workshop(NamedTuple):
    """What is in it."""

    url: str
    """Of the page."""
    state: Path
    lamps: list[EspBoard]
    empty: str
    """The port of the empty board."""


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """The gateway and its boards, in a thread: Playwright's loop runs in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="boards")
    thread.start()

    def wait(work: Coroutine[Any, Any, Workshop | None]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    stack = AsyncExitStack()
    try:
        yield wait(_opened(folder, stack))
    finally:
        wait(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _opened(folder: Path, stack: AsyncExitStack) -> Workshop:
    lamps = [
        await stack.enter_async_context(EspBoard("esp32c3", PtyWire(PacedLine(BAUD)), mac=at.to_bytes(6)))
        for at in range(3)
    ]
    rover = await stack.enter_async_context(EmulatedBoard("rover", uid="b0a7d7a1c0de0001"))
    station = await stack.enter_async_context(EmulatedBoard("station", uid="e6614c311b7e6f2c"))
    plugged = [
        (station.port, 0x2E8A, 0x0005, "Board in FS mode"),
        (lamps[2].port, 0x10C4, 0xEA60, "CP2102N USB to UART Bridge Controller"),
    ]
    _prepared(folder, plugged)
    ports = {"lamp-hall": lamps[0].port, "lamp-kitchen": lamps[1].port, LONG: UNPLUGGED, "rover": rover.port}
    blocks = "".join(BOARD.format(name=name, port=port) for name, port in ports.items())
    state = folder / "state"
    state.mkdir()
    conf = CONF.format(folder=folder, kind=KIND, long=LONG, chain=chain(folder / "modules")) + blocks
    gateway = await stack.enter_async_context(GatewayProcess(state, conf))
    return Workshop(re.findall(r"page=(\S+)", gateway.ready)[0], state, lamps[:2], lamps[2].port)


def _prepared(folder: Path, plugged: list[tuple[str, int, int, str]]) -> None:
    """Files, and what the processes of the gateway see of this machine."""
    boards, images = folder / "config" / "boardtalk" / "boards", folder / "images" / KIND
    boards.mkdir(parents=True)
    images.mkdir(parents=True)
    (boards / f"{KIND}.toml").write_text(DEFINITION)
    (images / IMAGE).write_bytes(_image())
    (folder / "releases" / "lamps" / "1.3").mkdir(parents=True)
    (folder / "releases" / "lamps" / "1.3" / "main.py").write_text("")
    (folder / "sitecustomize.py").write_text(USB)
    os.environ |= {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PYTHONPATH": str(folder),
        "PLUGGED_IN": json.dumps(plugged),
    }


def _image() -> bytes:
    """What an ESP32-C3 would load: one segment, of which half can be compressed."""
    content = random.Random(1).randbytes(IMAGE_BYTES // 2) + b"boardtalk".ljust(16) * (IMAGE_BYTES // 32)  # noqa: S311
    more = esp_image.MORE.pack(0xEE, 0, 0, 0, esp_image.CHIP_IDS["esp32c3"], 0, 0, 0xFFFF, bytes(4), 0)
    image = esp_image.HEADER.pack(esp_image.MAGIC, 1, 2, 0x20, RAM) + more
    image += esp_image.SEGMENT.pack(RAM, len(content)) + content
    checksum = functools.reduce(operator.xor, content, esp_image.CHECKSUM_SEED)
    return image + bytes(15 - len(image) % 16) + bytes((checksum,))
