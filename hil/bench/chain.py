"""Messages per second through the chain, deadlines and counters on; flatness of memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from boardtalk.chain.chain import Chain, Stage
from boardtalk.hil.bench.rows import Row, resident_kb
from boardtalk.sdk import PASS, Message, Refused, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: Final = 200_000
FLAT_MESSAGES: Final = 1_000_000
MODULES: Final = (1, 5, 10, 20)
ASYNC_MESSAGES: Final = 20_000
ASYNC_MODULES: Final = MODULES


class _Pass:
    """The smallest module: a bound method, as real ones are."""

    def on_message(self, message: Message) -> Verdict:
        return PASS


class _PassLater:
    """The smallest module that waits for something."""

    async def on_message(self, message: Message) -> Verdict:
        await asyncio.sleep(0)
        return PASS


def rows() -> Iterator[Row]:
    """Throughput for several numbers of modules beside bare calls of the same methods, and memory growth."""
    message = Message(sender="alice", to="bob", body="forward 20", id="1", row=1)
    for count in MODULES:
        modules = [_Pass() for _ in range(count)]
        chain = Chain([Stage(f"pass#{number}", module.on_message) for number, module in enumerate(modules)])
        rate = _rate(chain, message)
        calls = [module.on_message for module in modules]
        began = time.perf_counter()
        for _ in range(MESSAGES):
            for call in calls:
                call(message)
        bare = MESSAGES / (time.perf_counter() - began)
        yield Row.against(f"chain, {count} modules", rate, "messages/s", MESSAGES, bare)
    for count in ASYNC_MODULES:
        waiting = [_PassLater() for _ in range(count)]
        chain = Chain([Stage(f"pass#{number}", module.on_message) for number, module in enumerate(waiting)])
        rate, bare = asyncio.run(_async_rates(chain, waiting, message))
        name = f"chain, {count} async modules"
        yield Row.against(name, rate, "messages/s", ASYNC_MESSAGES, bare)
    yield _growth(message)


async def _async_rates(chain: Chain, modules: list[_PassLater], message: Message) -> tuple[float, float]:
    """Messages a second, one after the other, and as many bare calls."""
    began = time.perf_counter()
    for _ in range(ASYNC_MESSAGES):
        outcome = chain.run(message)
        if not (outcome is None or isinstance(outcome, Message | Refused)):
            await outcome
    middle = time.perf_counter()
    for _ in range(ASYNC_MESSAGES):
        for module in modules:
            await module.on_message(message)
    end = time.perf_counter()
    return ASYNC_MESSAGES / (middle - began), ASYNC_MESSAGES / (end - middle)


def _rate(chain: Chain, message: Message) -> float:
    began = time.perf_counter()
    for _ in range(MESSAGES):
        chain.run(message)
    return MESSAGES / (time.perf_counter() - began)


def _growth(message: Message) -> Row:
    """Growth of resident memory over a million messages, after a warm-up."""
    chain = Chain([Stage(f"pass#{number}", _Pass().on_message) for number in range(5)])
    for _ in range(FLAT_MESSAGES // 10):
        chain.run(message.with_(id="w"))
    before = resident_kb()
    for number in range(FLAT_MESSAGES):
        chain.run(message.with_(row=number))
    return Row(name="chain, memory growth", value=resident_kb() - before, unit="kB", n=FLAT_MESSAGES)
