"""Microseconds per frame: the hand-written path beside construct, interpreted and compiled.

All three put the same COBS and the same CRC around it, so that the difference is the definition's.
Each figure is the best of many short batches, taken in turns: the machine has other things to do.
"""

from __future__ import annotations

import time
from binascii import crc32
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.bench.rows import Row
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import CRC_BYTES, Kind, Type
from boardtalk.modules.iot_bridge.link.framing import Deframer, encode, stuff, unstuff

if TYPE_CHECKING:
    from collections.abc import Callable

    from construct import Compiled, Construct

PAYLOADS_BYTES: Final = (8, 32, 128)
BATCHES: Final = 60
FRAMES_PER_BATCH: Final = 200
SEED: Final = 0x5EED


def rows() -> list[Row]:
    """Encoding and decoding of a DATA frame, by payload size."""
    return [row for size in PAYLOADS_BYTES for row in _rows(bytes(range(size)))]


def _rows(payload: bytes) -> list[Row]:
    line = encode(Kind.DATA, Type.COMMAND, payload, seq=5, ack=6, retry=False, seed=SEED)
    compiled = frames.Frame.compile()
    times = _measure(
        {
            ("hand", "encode"): lambda: encode(
                Kind.DATA, Type.COMMAND, payload, seq=5, ack=6, retry=False, seed=SEED
            ),
            ("hand", "decode"): _deframing(line),
            ("interpreted", "encode"): lambda: _build(frames.Frame, payload),
            ("interpreted", "decode"): lambda: _parse(frames.Frame, line),
            ("compiled", "encode"): lambda: _build(compiled, payload),
            ("compiled", "decode"): lambda: _parse(compiled, line),
        }
    )
    assert _build(frames.Frame, payload) == line  # noqa: S101 - else the comparison means nothing
    count = BATCHES * FRAMES_PER_BATCH
    both = {way: times[way, "encode"] + times[way, "decode"] for way in ("hand", "interpreted", "compiled")}
    size = f"{len(payload)} B"
    made = [
        Row.against(f"{direction} {size}, hand / interpreted", times["hand", direction], "µs/frame", count,
                    times["interpreted", direction])
        for direction in ("encode", "decode")
    ]  # fmt: skip
    for way in ("interpreted", "compiled"):
        name = f"encode and decode {size}, hand / {way}"
        made.append(Row.against(name, both["hand"], "µs/frame", count, both[way]))
    return made


def _deframing(line: bytes) -> Callable[[], object]:
    deframer = Deframer()
    deframer.seed = SEED
    return lambda: list(deframer.feed(line))


def _build(frame: Construct[Any, Any] | Compiled, payload: bytes) -> bytes:
    header = {"ctl": frames.VERSION, "seq": 5, "ack": 6, "node": 0, "type": Type.COMMAND}
    body = frame.build({"header": header, "payload": payload})
    return b"\0" + stuff(body + crc32(body, SEED).to_bytes(CRC_BYTES, "little")) + b"\0"


def _parse(frame: Construct[Any, Any] | Compiled, line: bytes) -> object:
    body = unstuff(line[1:-1]) or b""
    if crc32(body[:-CRC_BYTES], SEED) != int.from_bytes(body[-CRC_BYTES:], "little"):
        return None
    return frame.parse(body[:-CRC_BYTES])


def _measure(ways: dict[tuple[str, str], Callable[[], object]]) -> dict[tuple[str, str], float]:
    """Microseconds per call of each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(BATCHES):
        for name, work in ways.items():
            began = time.perf_counter()
            for _ in range(FRAMES_PER_BATCH):
                work()
            best[name] = min(best[name], (time.perf_counter() - began) / FRAMES_PER_BATCH * 1e6)
    return best
