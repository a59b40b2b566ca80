"""What our link is compared with: one request at a time, sent again when no answer comes in time."""

from __future__ import annotations

import asyncio
from typing import Final

from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.wire import Line, Wire
from boardtalk.modules.iot_bridge.frames import OVERHEAD_BYTES

TIMEOUT_S: Final = 0.025
"""The shortest that our link knows; libraries that do it so wait for 100 ms to 1 s."""
ANSWER: Final = b"\0" + bytes(range(1, OVERHEAD_BYTES - 1)) + b"\0"


def efficiency(line: Line, count: int, payload_bytes: int = 32) -> float:
    """Share of the line that carries requests once, as `bulk` counts it."""
    return run(_transfer(line, count, payload_bytes))


async def _transfer(line: Line, count: int, payload_bytes: int) -> float:
    loop = asyncio.get_running_loop()
    there, back = Wire(line, 0), Wire(line, 1)
    answered = asyncio.Event()
    request = b"\0" + bytes(range(1, payload_bytes + OVERHEAD_BYTES - 1)) + b"\0"
    there.deliver = lambda frame: back.put(ANSWER) if frame == request else None
    back.deliver = lambda frame: answered.set() if frame == ANSWER else None
    for _ in range(count):
        answered.clear()
        while not answered.is_set():
            there.put(request)
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await answered.wait()
            except TimeoutError:
                continue
    return count * len(request) * line.byte_s / loop.time()
