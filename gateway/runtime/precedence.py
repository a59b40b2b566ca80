"""Who goes first where processors are short: what stops robots, before what merely works."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

FIRST: Final = -10
"""Ten times the share of an ordinary process."""


def go_first() -> None:
    """Go before others, if the system lets us: root, or whoever has systemd's `Nice=` or `LimitNICE=`.

    Call it before there are threads: they inherit it, and so do child processes.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(FIRST, os.nice(0)))


def fall_back(steps: int = 0) -> None:
    """Be an ordinary process again, or so many steps behind one: a child that works as it likes."""
    os.nice(max(0, -os.nice(0)) + steps)
