"""A slow line: what a stop may have to wait for holds it up for 20 ms at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge import frames, payloads
from boardtalk.modules.iot_bridge.dictionary import Control, Dictionary, Value
from boardtalk.modules.iot_bridge.frames import OVERHEAD_BYTES, RENEW_HALF, RENEW_MASK, RENEW_SHIFT
from boardtalk.modules.iot_bridge.live import take
from boardtalk.modules.iot_bridge.robots import Robot
from boardtalk.modules.iot_bridge.service.api import BoardChanged, BoardState
from boardtalk.modules.iot_bridge.transports.pace import Pace
from boardtalk.sdk import Refused

SLOW = Pace(9600).frame_bytes
UNIT_MS = 1 << RENEW_SHIFT
STICK = Control(name="drive", args=(Value(name="x", type="float"), Value(name="y", type="float")))
LEVER = Control(name="lift", args=(Value(name="up", type="int"),))
CLOCKS = st.integers(1, frames.CLOCK_MASK)


def robot(line_bytes: int, *controls: Control) -> Robot:
    board = BoardChanged(
        name="rover",
        uid="ab",
        port="/dev/ttyS1",
        firmware="",
        state=BoardState.READY,
        epoch=0,
        dictionary="",
        line_bytes=line_bytes,
    )
    return Robot(board, dictionary=Dictionary(name="rover", controls=controls))


def left_ms(lease: int, now: int) -> int:
    """What a board reads in a RENEW: see `left_ms` of the firmware."""
    left = (((lease << RENEW_SHIFT) - now + RENEW_HALF) & RENEW_MASK) - RENEW_HALF
    return max(left, 0) if lease else 0


def test_c07_what_keeps_a_motion_going_holds_up_a_line_of_9600_baud_for_20_ms_at_most() -> None:
    for body in (frames.Renew, frames.TimeHost, frames.Rearm):
        assert body.sizeof() + OVERHEAD_BYTES <= SLOW


def test_c07_live_control_that_would_hold_up_a_stop_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match=r"too slow for live drive.*27 bytes .*, and 19 are the most.*`baud`"):
        take(robot(SLOW, STICK), "drive")


@pytest.mark.parametrize("baud", [19_200, 115_200, 0])
def test_live_control_goes_over_a_line_that_is_fast_enough_or_of_unknown_speed(baud: int) -> None:
    assert take(robot(Pace(baud).frame_bytes, STICK, LEVER), "drive").control is STICK


@given(CLOCKS, st.integers(1, 2000))
def test_c09_a_renewal_gives_the_lease_that_was_meant_or_up_to_16_ms_less(now: int, lease_ms: int) -> None:
    deadline = (now + lease_ms) & frames.CLOCK_MASK or frames.CLOCK_MASK
    sent = frames.Renew.parse(payloads.renew(7, deadline))
    assert lease_ms - UNIT_MS <= left_ms(sent.lease, now) <= lease_ms or lease_ms <= UNIT_MS


@given(CLOCKS, st.integers(UNIT_MS, RENEW_HALF - 2 * UNIT_MS))
def test_c09_a_renewal_that_was_held_up_moves_nothing(now: int, late_ms: int) -> None:
    sent = frames.Renew.parse(payloads.renew(7, now))
    assert sent.lease, "0 would end the command"
    assert left_ms(sent.lease, now + late_ms) == 0
