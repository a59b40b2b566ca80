"""The test's view of a simulated robot's world: it sets what the robot senses, and sees its outputs.

The robot's end is `sim/world.py`: lines of JSON on two pipes, beside the serial line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S: Final = 5.0
MAX_RECORDS: Final = 100_000
READ_BYTES: Final = 65536


class WorldError(BoardtalkError):
    """The simulated robot did not do in time what a test waits for."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the robot did at a time."""

    at: float
    """Seconds of this machine's monotonic clock, by the robot itself."""
    state: dict[str, Any]
    """For example `{"left": 50, "right": 50, "x": 0.0, "y": 0.0}` when a motor's power changes."""


class World:
    """The pipes to one robot's process."""

    def __init__(self) -> None:
        self.outputs: list[Record] = []
        self._changed = asyncio.Event()
        self._into = self._out = -1
        self._rest = b""

    def open(self) -> tuple[int, int]:
        """Make the pipes; returns the robot's ends, to be closed when it has them."""
        self.close()
        robot_in, self._into = os.pipe()
        self._out, robot_out = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(robot_out, False)  # a frozen test must not hold up the robot
        asyncio.get_running_loop().add_reader(self._out, self._hear)
        return robot_in, robot_out

    def close(self) -> None:
        """Close the pipes."""
        if self._out < 0:
            return
        asyncio.get_running_loop().remove_reader(self._out)
        os.close(self._into)
        os.close(self._out)
        self._into = self._out = -1
        self._rest = b""

    async def change(self, **senses: Any) -> None:
        """Change what the robot senses, and wait until it has noticed.

        Raises:
            WorldError: it does not notice.
        """
        seen = len(self.outputs)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._into, json.dumps(senses).encode() + b"\n")
        await self.until(lambda state: "heard" in state, since=seen)

    async def until(
        self, wanted: Callable[[dict[str, Any]], bool], since: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Record:
        """The first record from index `since` on that is wanted; waits for it.

        Raises:
            WorldError: there is none in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for record in self.outputs[since:]:
                        if wanted(record.state):
                            return record
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = self.outputs[-1] if self.outputs else None
            raise WorldError(f"not within {timeout_s:g} s; the robot's last record: {last}") from None

    def _hear(self) -> None:
        try:
            data = os.read(self._out, READ_BYTES)
        except BlockingIOError:
            return
        if not data:  # the robot's process has ended
            asyncio.get_running_loop().remove_reader(self._out)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            state = json.loads(line)
            self.outputs.append(Record(state.pop("at_us") / 1e6, state))
        del self.outputs[:-MAX_RECORDS]
        self._changed.set()
