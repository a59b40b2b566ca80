"""The emulated board's `machine`: who it is and why it started, from the environment."""

import os
from binascii import unhexlify

PWRON_RESET = 1
HARD_RESET = 2


def unique_id():
    """The board's id."""
    return unhexlify(os.getenv("BOARDTALK_UID"))


def reset_cause():
    """Power-on, or a reset."""
    return int(os.getenv("BOARDTALK_RESET_CAUSE"))
