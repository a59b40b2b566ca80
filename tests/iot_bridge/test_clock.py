"""What is known of a board's clock, and how well: on a virtual line, with a board whose clock goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.firmware import Firmware
from boardtalk.hil.virtual.wire import Line, connect
from boardtalk.modules.iot_bridge.frames import CLOCK_MASK
from boardtalk.modules.iot_bridge.link.clock import BoardClock, Reading
from boardtalk.modules.iot_bridge.link.session import Session


def after(seconds: float, drift: float) -> tuple[Reading, float]:
    """What the gateway knows after so long, and the true offset."""

    async def listen() -> tuple[Reading, float]:
        port, uart, _ = connect(Line(baud=115_200, loss=0.02))
        client = Firmware(drift=drift).client(uart)
        async with Session(port) as session:
            board = asyncio.create_task(client.run([]))
            session.greet(1)
            await asyncio.sleep(seconds)
            reading = session.read_clock()
            board.cancel()
        assert reading is not None
        return reading, asyncio.get_running_loop().time() * drift

    return run(listen())


@pytest.mark.parametrize("drift", [-5e-4, 0.0, 2e-5, 3e-3])
def test_offset_and_drift_are_known_within_the_error_that_is_shown(drift: float) -> None:
    reading, offset = after(120.0, drift)
    assert abs(reading.offset_s - offset) <= reading.error_s
    assert reading.drift == pytest.approx(drift, abs=5e-5)
    assert reading.error_s < 0.005


def test_the_drift_is_not_guessed_from_a_few_seconds() -> None:
    reading, _ = after(5.0, 3e-3)
    assert reading.drift == 0.0


def test_before_any_answer_nothing_is_known() -> None:
    assert BoardClock().read(1.0) is None


def test_a_board_whose_clock_begins_anew_is_still_understood() -> None:
    clock = BoardClock()
    for second in range(60):
        clock.learn(second, second + 0.002, (CLOCK_MASK - 30_000 + second * 1000) & CLOCK_MASK)
    reading = clock.read(60.0)
    assert reading is not None
    assert reading.offset_s == pytest.approx((CLOCK_MASK - 30_000) / 1000, abs=reading.error_s)


def test_a_slow_answer_does_not_spoil_what_is_known() -> None:
    clock = BoardClock()
    for second in range(30):
        took = 0.002 if second % 3 else 0.5
        clock.learn(second, second + took, int((second + took) * 1000) + 7000)
    reading = clock.read(30.0)
    assert reading is not None
    assert reading.offset_s == pytest.approx(7.0, abs=0.002)
    assert abs(reading.drift) < 1e-4
