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
        self._read = 0
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
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
        self._over.clear()
        return robot_in, robot_out

    def close(self) -> None:
        """Close the pipes."""
        if self._out < 0:
            return
        self._hear()  # what the robot told last
        asyncio.get_running_loop().remove_reader(self._out)
        os.close(self._into)
        os.close(self._out)
        self._into = self._out = -1
        self._rest = b""

    async def ended(self) -> None:
        """Wait until each process of the robot has ended: none has its ends of the pipes any more."""
        await self._over.wait()

    async def change(self, **senses: Any) -> None:
        """Change what the robot senses, and wait until it has noticed.

        Raises:
            WorldError: it does not notice.
        """
        told = len(self.outputs)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._into, json.dumps(senses).encode() + b"\n")
        await self._find(lambda state: "heard" in state, told)

    async def until(self, **state: Any) -> Record:
        """The next record with this state, after the one that was found last; waits for it.

        Raises:
            WorldError: there is none in time.
        """
        self._read = await self._find(lambda told: state.items() <= told.items(), self._read) + 1
        return self.outputs[self._read - 1]

    async def _find(self, wanted: Callable[[dict[str, Any]], bool], since: int) -> int:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    for index in range(since, len(self.outputs)):
                        if wanted(self.outputs[index].state):
                            return index
                    since = len(self.outputs)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            told = [record.state for record in self.outputs[-3:]]
            raise WorldError(f"not within {TIMEOUT_S:g} s; the robot told last: {told}") from None

    def _hear(self) -> None:
        try:
            data = os.read(self._out, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._out)
            self._over.set()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            state = json.loads(line)
            self.outputs.append(Record(state.pop("at_us") / 1e6, state))
        self._changed.set()
