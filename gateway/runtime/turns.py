"""Work in short turns: who has much to do lets others go on in between, above all a stop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

TURN_S: Final = 0.001
"""On the clock: whose process others kept from the processor has had his turn too."""


class Turns:
    """Counts how long a task has worked without letting others go on."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def over(self) -> None:
        """Let others go on, if it is time."""
        if time.monotonic() - self._began > TURN_S:
            await asyncio.sleep(0)
            self._began = time.monotonic()
