"""A lease too long for the room that a machine has is refused before it moves."""

from __future__ import annotations

import pytest

from boardtalk.modules.iot_bridge.bridge import BoardBlock
from boardtalk.modules.iot_bridge.clearance import overrun_m


def test_c09_how_far_it_rolls_on_is_the_way_within_lease_and_margin_and_that_of_its_brakes() -> None:
    assert overrun_m(0.5, 1.0, 500) == pytest.approx(0.5 * 0.6 + 0.125)


def test_c09_with_room_enough_it_is_as_it_was_written() -> None:
    assert BoardBlock(clearance=0.43, speed=0.5, brakes=1.0).lease == 500


def test_c09_the_longest_lease_that_fits_is_named() -> None:
    with pytest.raises(ValueError, match=r"roll on for 0\.52 m.* clearance is 0\.4 m: `lease = 450` or less"):
        BoardBlock(clearance=0.4, speed=0.5, brakes=1.0, lease=700)
    BoardBlock(clearance=0.4, speed=0.5, brakes=1.0, lease=450)
    with pytest.raises(ValueError, match="lease = 450"):
        BoardBlock(clearance=0.4, speed=0.5, brakes=1.0, lease=451)


def test_c09_where_no_lease_is_short_enough_the_highest_speed_is_named() -> None:
    with pytest.raises(ValueError, match=r"no lease is short enough; it may go at 0\.531 m/s"):
        BoardBlock(clearance=0.3, speed=2.0, brakes=1.0)
    BoardBlock(clearance=0.3, speed=0.53, brakes=1.0, lease=200)


@pytest.mark.parametrize("given", [{"clearance": 1.0}, {"speed": 1.0, "brakes": 1.0}])
def test_a_part_of_it_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="belong together"):
        BoardBlock(**given)  # type: ignore[arg-type]
