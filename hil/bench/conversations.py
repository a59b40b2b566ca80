"""Ten thousand conversations under way at once, while a module takes 100 ms for each message.

A hub with a store on disk, and one asynchronous module. 100 people write to 100 others, three messages
to each. The baseline waits as often in bare asyncio tasks and does nothing else.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.chain.chain import Chain, Stage
from boardtalk.events import Delivery
from boardtalk.hil.bench.rows import Row, resident_kb
from boardtalk.hub.hub import Hub
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.sdk import PASS, Message, Refused, Role, Verdict
from boardtalk.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE: Final = 100
"""Who write, and as many who are written to."""
MESSAGES: Final = 3
"""In each conversation."""
WAIT_S: Final = 0.1
PATIENCE_S: Final = 120.0


class Result(NamedTuple):
    """How a run went."""

    took_s: float
    at_once: int
    """Conversations that the module had a message of at the same time."""
    out_of_order: int
    grown_kb: int


class _Slow:
    """A module that waits for something."""

    def __init__(self) -> None:
        self.at_once = self.most = 0

    async def on_message(self, message: Message) -> Verdict:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(WAIT_S)
        self.at_once -= 1
        return PASS


def rows() -> Iterator[Row]:
    """Time and rate, how many there were at once, order, memory."""
    result, bare_s = asyncio.run(_measure())
    total = PEOPLE * PEOPLE * MESSAGES
    yield Row.against("conversations, all messages", result.took_s, "s", total, bare_s)
    yield Row(name="conversations, throughput", value=total / result.took_s, unit="messages/s", n=total)
    yield Row(name="conversations, in the module at once", value=result.at_once, unit="messages", n=total)
    yield Row(name="conversations, out of order", value=result.out_of_order, unit="messages", n=total)
    yield Row(name="conversations, memory growth", value=result.grown_kb, unit="kB", n=total)


async def _measure() -> tuple[Result, float]:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(PEOPLE * PEOPLE):
            tasks.create_task(_bare())
    bare_s = time.perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
        return await converse(Path(folder), PEOPLE), bare_s


async def _bare() -> None:
    for _ in range(MESSAGES):
        await asyncio.sleep(WAIT_S)


async def converse(folder: Path, people: int) -> Result:
    """Have so many people write to as many others."""
    senders, recipients = ([f"{role}{number}" for number in range(people)] for role in ("from", "to"))
    async with AsyncExitStack() as stack:
        users = Users.load(folder / "secrets", dict.fromkeys(senders + recipients, Role.OPERATOR))
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        hub = await stack.enter_async_context(Hub(store, Directory(users, {})))
        slow = _Slow()
        hub.load(Chain([Stage("slow", slow.on_message)]), {})
        before_kb = resident_kb()
        began = time.perf_counter()
        hearing = asyncio.create_task(_hear(hub, people * people * MESSAGES))
        await asyncio.sleep(0)
        for number in range(MESSAGES):
            for sender in senders:
                for to in recipients:
                    await _say(hub, Message(sender=sender, to=to, body=f"{number}", id=f"{to}-{number}"))
        heard = await hearing
        took_s = time.perf_counter() - began
        grown_kb = resident_kb() - before_kb
    wrong = sum(number != place for numbers in heard.values() for place, number in enumerate(numbers))
    return Result(took_s, slow.most, wrong, grown_kb)


async def _say(hub: Hub, message: Message) -> None:
    while True:
        try:
            return hub.accept(message)
        except Refused:  # so many wait for the disk
            await hub.room()


async def _hear(hub: Hub, total: int) -> dict[tuple[str, str], list[int]]:
    """The numbers that came in each conversation, in order of arrival, as a broker would get them."""
    heard: dict[tuple[str, str], list[int]] = {}
    count = 0
    async with asyncio.timeout(PATIENCE_S):
        while count < total:
            with hub.attach(None) as session:
                async for batch in session.events():
                    for event in batch:
                        if isinstance(event, Delivery):
                            session.handed_over(event)
                            message = event.message
                            heard.setdefault((message.sender, message.to), []).append(int(message.body))
                            count += 1
                    if count >= total:
                        break
    return heard
