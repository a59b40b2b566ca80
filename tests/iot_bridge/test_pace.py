"""A line gets its next frame before it is idle, and not much sooner."""

from __future__ import annotations

import os
import tty

import pytest

from boardtalk.modules.iot_bridge.transports.pace import BAUDLESS_BYTES, LEAD_S, Pace
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

FRAME_BYTES = 45


@pytest.mark.parametrize("baud", [9600, 115_200, 1_000_000])
def test_there_is_room_again_3_ms_before_the_line_is_idle(baud: int) -> None:
    pace, now = Pace(baud), 100.0
    assert pace.room(0, now) > 0
    written = 0
    while pace.room(0, now) > 0:
        pace.wrote(FRAME_BYTES, now)
        written += FRAME_BYTES
    idle = now + written * 10 / baud
    byte_s = 10 / baud
    assert pace.room(0, idle - LEAD_S - 2 * byte_s) <= 0
    assert pace.room(0, idle - LEAD_S + 2 * byte_s) > 0
    assert written <= LEAD_S / byte_s + FRAME_BYTES
    assert now + pace.wait_s(0, now) <= idle


def test_what_the_kernel_holds_counts_if_it_is_more() -> None:
    pace = Pace(115_200)
    assert pace.room(500, 1.0) <= 0
    assert pace.wait_s(500, 1.0) == pytest.approx((500 - 34 + 1) * 10 / 115_200)


def test_a_line_without_a_speed_may_hold_a_small_frame() -> None:
    pace = Pace(0)
    pace.wrote(10_000, 1.0)
    assert pace.room(0, 1.0) == BAUDLESS_BYTES
    assert pace.room(BAUDLESS_BYTES, 1.0) == 0


@pytest.mark.parametrize(("paced", "frame_bytes"), [(None, 0), (True, 19)])
async def test_a_pseudo_terminal_has_no_speed_unless_it_is_said_to_have_one(
    paced: bool | None, frame_bytes: int
) -> None:
    near, far = os.openpty()
    tty.setraw(far)
    try:
        async with SerialPort(os.ttyname(far), 9600, paced=paced) as port:
            assert port.frame_bytes == frame_bytes
            port.write(bytes(40))
            assert (port.room > 0) is not bool(paced)
    finally:
        os.close(near)
        os.close(far)
