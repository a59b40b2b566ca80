"""How much six modules that misbehave delay what others say."""

from __future__ import annotations

import asyncio
import time
from contextlib import redirect_stderr
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk import conf, loader
from boardtalk.hil.bench.rows import Row
from boardtalk.runtime import logs
from boardtalk.sdk import Code
from boardtalk.testing import bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.loader import Instance
    from boardtalk.testing import Bench

MODULES: Final = Path(__file__).parent / "modules"
INLINE: Final = ("raise", "hang", "flood", "start slowly")
ISOLATED: Final = ("spin", "eat")
PAIRS: Final = 10
"""Conversations of the bystanders."""
RATE: Final = 200
"""Their messages a second, together."""
ROUNDS: Final = 4
SECONDS: Final = 15.0
"""Of each round, in peace and then provoked: whatever else the machine does meets both alike."""
PAUSE_S: Final = 3.0
"""Until what villains began has ended."""
PROVOKE_S: Final = 0.5
"""Between two provocations, of each: an isolated one begins again as soon as its process runs again."""


def rows() -> Iterator[Row]:
    """The 99th percentile of others' messages from acceptance to delivery, with the villains and without."""
    with Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):
        logs.configure("info")  # to log what villains do costs time, too
        delays = asyncio.run(measure())
    for percent in (50, 99):
        calm, wild = (_percentile(each, percent) for each in delays)
        name = f"others beside six villains, p{percent}"
        yield Row.against(name, wild, "ms", len(delays[1]), calm)


async def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> tuple[list[float], list[float]]:
    """Milliseconds that others' messages take: with the villains in place, but at peace; and provoked."""
    first, *others = _villains()
    quick = [each for each in others if each.values["crime"] != "start slowly"]
    people = [
        *(f"{side}{pair}" for side in "ab" for pair in range(PAIRS)),
        "bob",
        "inline",
        "sink",
        *ISOLATED,
    ]
    calm: list[float] = []
    wild: list[float] = []
    async with bench(first, users=dict.fromkeys(people, "operator")) as gateway:
        for _ in range(rounds):
            await gateway.apply(first, *quick)
            await asyncio.sleep(PAUSE_S)
            calm += await _delays(gateway, seconds)
            starting = asyncio.create_task(gateway.apply(first, *others))
            provoking = asyncio.create_task(_provoke(gateway))
            wild += await _delays(gateway, seconds)
            provoking.cancel()
            await asyncio.gather(provoking, starting, return_exceptions=True)
    return calm, wild


def _villains() -> list[Instance]:
    blocks = [f"module villain {{\n crime = {crime}\n bait = inline\n}}" for crime in INLINE]
    blocks += [
        f"module villain {{\n crime = {crime}\n bait = {crime}\n isolate = yes\n}}" for crime in ISOLATED
    ]
    return list(loader.plan(conf.parse(f"module_folders = {MODULES}\n" + "\n".join(blocks))).instances)


async def _provoke(gateway: Bench) -> None:
    while True:
        for bait in ("inline", *ISOLATED):
            gateway.say("bob", bait, "now")
        await asyncio.sleep(PROVOKE_S)


async def _delays(gateway: Bench, seconds: float) -> list[float]:
    """Milliseconds from acceptance to delivery of each message, at a steady rate."""
    said: dict[str, float] = {}
    end = time.monotonic() + seconds
    for number in count():
        pair = number % PAIRS
        at = time.time()
        said[gateway.say(f"a{pair}", f"b{pair}", "hello")] = at
        await asyncio.sleep(1 / RATE)
        if time.monotonic() > end:
            break
    for each in said:
        await gateway.ended(each)
    delivered = {each.message_id: each.at for each in gateway.statuses if each.status.code is Code.DELIVERED}
    return [1e3 * (delivered[each] - at) for each, at in said.items()]


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]
