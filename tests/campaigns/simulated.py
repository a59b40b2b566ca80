"""Commands by the ten thousand on a virtual clock, over a line that loses, spoils and holds back frames.

Both ends are the real ones. The board's clock begins anywhere, goes wrong, and goes on while the gateway's
machine sleeps.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.firmware import Firmware
from boardtalk.hil.virtual.robot import Dictionaries
from boardtalk.hil.virtual.wire import Line, VirtualPort, Wire, connect
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import CLOCK_MASK
from boardtalk.modules.iot_bridge.news import Order

DRIFTS = (0.0, 2e-5, -2e-5, 3e-3, -3e-3, 9e-3, -9e-3)
PAUSE_S = 0.02
"""Between commands, on the average."""
PATIENCE_S = 60.0
BOARD_COMMANDS = 500
"""Then it is another board's turn."""


@dataclass
class Tally:
    """What became of the commands."""

    ends: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    late: dict[int, float] = field(default_factory=dict)
    """Seconds after their time, by number."""
    twice: list[int] = field(default_factory=list)


def commands(seed: int, count: int) -> Tally:
    """So many commands, to one board after the other."""
    tally = Tally()
    for first in range(0, count, BOARD_COMMANDS):
        run(_board(random.Random(f"{seed} {first}"), min(BOARD_COMMANDS, count - first), tally))
    return tally


class _Board:
    """One board on its line, and the time that passes in the world."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.line = Line(
            baud=chance.choice((115_200, 1_000_000)),
            loss=chance.choice((0.0, 0.02, 0.1)),
            flip=chance.choice((0.0, 0.02)),
            seed=chance.randrange(1 << 32),
        )
        self.firmware = Firmware(drift=chance.choice(DRIFTS), shows=chance.randrange(CLOCK_MASK))
        _, uart, self.wires = connect(self.line)
        self.client = self.firmware.client(uart, mark=self._mark)
        self.slept = 0.0
        self.times_slept = 0
        self.sent: dict[int, tuple[float, float]] = {}
        self.ran: list[tuple[int, float]] = []

    def now(self) -> float:
        """The world's time."""
        return asyncio.get_running_loop().time() + self.slept

    def trouble(self) -> None:
        """Now and then the line holds back what comes, or the gateway's machine sleeps."""
        if self.chance.random() < 0.015:
            held: Wire = self.chance.choice(self.wires)
            held.hold(self.chance.uniform(0, self.chance.choice((0.2, 2))))
        if self.chance.random() < 0.004:
            ms = self.chance.randrange(1, 5000)
            self.times_slept += 1
            self.slept += ms / 1000
            self.firmware.gain(ms)

    def _mark(self) -> None:
        self.ran.append((self.client.dispatcher.last, self.now()))


async def _board(chance: random.Random, count: int, tally: Tally) -> None:
    board = _Board(chance)
    serving = asyncio.create_task(board.client.run([]))
    memory = cast("DictionaryCache", Dictionaries())
    while len(board.sent) < count:
        try:
            async with Device(VirtualPort(board.line, *board.wires), memory, patience_s=PATIENCE_S) as device:
                await _session(board, device, count, tally)
        except LinkError:
            tally.fired["session lost"] += 1
            await asyncio.sleep(PAUSE_S)
    serving.cancel()
    for wire in board.wires:
        tally.fired += wire.fired
    tally.fired["slept"] += board.times_slept
    for number, at in board.ran:
        sent, ttl = board.sent[number]
        if at >= sent + ttl:
            tally.late[number] = at - sent - ttl
    tally.twice += [
        number for number, times in Counter(number for number, _ in board.ran).items() if times > 1
    ]


async def _session(board: _Board, device: Device, count: int, tally: Tally) -> None:
    """Commands until all are sent or the session is lost."""
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(_drain(device))
        waiting = []
        while len(board.sent) < count and not listening.done():
            number = len(board.sent) + 1
            ttl = _ttl(board.chance)
            board.sent[number] = board.now(), ttl
            order = Order(id=number, index=0, ttl_s=ttl)
            waiting.append(tasks.create_task(_command(device, order, tally.ends)))
            board.trouble()
            await asyncio.sleep(board.chance.expovariate(1 / PAUSE_S))
        await asyncio.gather(*waiting)
        listening.cancel()


async def _drain(device: Device) -> None:
    try:
        async for _ in device.news():
            pass
    except LinkError:
        pass


async def _command(device: Device, order: Order, ends: Counter[str]) -> Any:
    try:
        async with asyncio.timeout(PATIENCE_S):
            result = await device.command(order)
        ends[result.outcome.name if order.ttl_s else f"asked: {result.outcome.name}"] += 1
    except LinkError as error:
        ends[type(error).__name__] += 1


def _ttl(chance: random.Random) -> float:
    """0 asks and must not begin."""
    return chance.choice((0.0, chance.uniform(0, 0.01), chance.uniform(0, 0.2), chance.uniform(0, 2), 60.0))
