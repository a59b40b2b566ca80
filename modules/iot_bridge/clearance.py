"""How far a machine rolls on when nobody is left who could stop it, and whether there is room for that."""

from __future__ import annotations

from math import sqrt
from typing import Final

LEAST_LEASE_MS: Final = 200
MARGIN_S: Final = 0.1
"""So much later than its lease ends a board's outputs are off."""


def overrun_m(speed: float, brakes: float, lease_ms: int) -> float:
    """Metres from the loss to where it stands.

    Args:
        speed: the highest, m/s.
        brakes: by how much it slows down when its outputs are off, m/s².
        lease_ms: how long it moves on when nobody renews.
    """
    return speed * (lease_ms / 1000 + MARGIN_S) + speed**2 / (2 * brakes)


def require_room(clearance: float, speed: float, brakes: float, lease_ms: int) -> None:
    """See that it stands before its clearance, in metres, is used up.

    Raises:
        ValueError: it does not. Tells the longest lease that is short enough, or, if there is none, the
            speed that it may have.
    """
    overrun = overrun_m(speed, brakes, lease_ms)
    if overrun <= clearance:
        return
    longest_ms = int(1000 * (clearance / speed - speed / (2 * brakes) - MARGIN_S))
    if longest_ms >= LEAST_LEASE_MS:
        cure = f"`lease = {longest_ms}` or less"
    else:
        powered_s = LEAST_LEASE_MS / 1000 + MARGIN_S
        fastest = brakes * (sqrt(powered_s**2 + 2 * clearance / brakes) - powered_s)
        cure = f"no lease is short enough; it may go at {fastest:.3f} m/s with `lease = {LEAST_LEASE_MS}`"
    raise ValueError(
        f"at {speed:g} m/s it may roll on for {overrun:.2f} m, v·(lease + {MARGIN_S:g} s) + v²/2a, "
        f"but its clearance is {clearance:g} m: {cure}"
    )
