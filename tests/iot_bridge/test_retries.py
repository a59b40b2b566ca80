"""When a frame is repeated that nobody answers: at both ends, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.firmware import Firmware
from boardtalk.modules.iot_bridge.frames import BUFFER_BYTES, MAX_PAYLOAD, WINDOW, Type
from boardtalk.modules.iot_bridge.link.window import Item, SendWindow

LEAST_S, MOST_S = 0.025, 5.0
STEP_S = 0.001
PAYLOAD = bytes(32)


class GatewaysEnd:
    """The gateway's window."""

    def __init__(self) -> None:
        self._window = SendWindow(WINDOW, BUFFER_BYTES, MAX_PAYLOAD, 0)

    def add(self) -> None:
        self._window.queue.append(Item(1, Type.EVENT, PAYLOAD, None))

    def sends(self, now: float) -> bool:
        return self._window.take(now) is not None

    def answered(self, number: int, now: float) -> None:
        self._window.acknowledge(number, 0, now)


class BoardsEnd:
    """The firmware's, in CPython."""

    def __init__(self) -> None:
        self._sent = 0
        line = SimpleNamespace(send=self._send)
        self._outbox = Firmware().module("outbox").Outbox(line)

    def _send(self, *_: Any) -> bool:
        self._sent += 1
        return True

    def add(self) -> None:
        self._outbox._frames.append([Type.EVENT, PAYLOAD, 0, 0, 0])

    def sends(self, now: float) -> bool:
        before = self._sent
        self._outbox.flush()
        return self._sent > before

    def answered(self, number: int, now: float) -> None:
        self._outbox.acknowledged(number, 0, False, int(now * 1000))


End = GatewaysEnd | BoardsEnd
both_ends = pytest.mark.parametrize("make", [GatewaysEnd, BoardsEnd], ids=["gateway", "board"])


async def repeated_after(end: End, times: int) -> list[float]:
    """How long it waits before each repetition of a frame that nobody answers."""
    loop = asyncio.get_running_loop()
    end.add()
    assert end.sends(loop.time())
    waited = []
    for _ in range(times):
        began = loop.time()
        while not end.sends(loop.time()):
            await asyncio.sleep(STEP_S)
        waited.append(loop.time() - began)
    return waited


async def answers(end: End, count: int, *seconds: float) -> None:
    """So many frames, each answered after one of these times, by turns."""
    loop = asyncio.get_running_loop()
    for number in range(1, count + 1):
        end.add()
        assert end.sends(loop.time())
        await asyncio.sleep(seconds[number % len(seconds)])
        end.answered(number, loop.time())


@both_ends
def test_c13_a_fast_line_repeats_after_25_ms_and_waits_twice_as_long_each_time_but_5_s_at_most(
    make: Callable[[], End],
) -> None:
    async def scenario() -> list[float]:
        end = make()
        await answers(end, 20, 0.002)
        return await repeated_after(end, 10)

    waited = run(scenario())
    assert waited[0] == pytest.approx(LEAST_S, abs=2 * STEP_S)
    for before, after in pairwise(waited):
        assert after == pytest.approx(min(2 * before, MOST_S), abs=3 * STEP_S)
    assert waited[-1] == pytest.approx(MOST_S, abs=2 * STEP_S)


@both_ends
@pytest.mark.parametrize("round_trip_s", [0.1, 0.4])
def test_c13_a_slow_line_is_given_the_time_that_it_takes(
    make: Callable[[], End], round_trip_s: float
) -> None:
    async def scenario() -> list[float]:
        end = make()
        await answers(end, 20, round_trip_s)
        return await repeated_after(end, 1)

    (waited,) = run(scenario())
    assert round_trip_s < waited < 2 * round_trip_s


@both_ends
def test_c13_the_answer_to_a_frame_that_was_repeated_is_no_measurement(make: Callable[[], End]) -> None:
    """Which of the two was answered is unknown (Karn): the line would seem faster than it is."""

    async def scenario() -> list[float]:
        end = make()
        await answers(end, 20, 0.05, 0.15)
        waited = []
        for number in range(21, 51):
            waited += await repeated_after(end, 1)
            await asyncio.sleep(0.07)
            end.answered(number, asyncio.get_running_loop().time())
        return waited

    waited = run(scenario())
    assert waited == pytest.approx([waited[0]] * len(waited), abs=2 * STEP_S)
