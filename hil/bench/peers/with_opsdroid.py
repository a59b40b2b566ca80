"""Run by a Python that has opsdroid: messages a second through it, as JSON on standard output.

Each message is an `opsdroid.events.Message` that a connector hands to `opsdroid.parse`, as connectors do,
one after the other; a skill answers through the connector. Nothing of boardtalk is imported.
"""

from __future__ import annotations

import asyncio
import gettext
import json
import logging
import re
import sys
import time
from importlib.metadata import version
from typing import Any

from opsdroid.connector import Connector
from opsdroid.core import OpsDroid
from opsdroid.events import Message
from opsdroid.matchers import match_regex

_WORD = re.compile(r"\w+")


class Door(Connector):  # type: ignore[misc]
    """Takes answers and counts them."""

    def __init__(self, opsdroid: OpsDroid) -> None:
        super().__init__({"name": "door"}, opsdroid=opsdroid)
        self.count = 0

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def listen(self) -> None:
        """Nothing to listen to: messages are made by the benchmark."""

    async def send(self, event: Message) -> None:
        """Take an answer."""
        self.count += 1


@match_regex(r".*")  # type: ignore[untyped-decorator]
async def passing(message: Message) -> None:
    """Pass a message on."""
    await message.respond(message.text)


def filtering(blocked: frozenset[str]) -> Any:
    """A skill that keeps back messages with blocked words."""

    async def skill(message: Message) -> None:
        if blocked.isdisjoint(_WORD.findall(message.text.lower())):
            await message.respond(message.text)
        else:
            await message.respond("not passed on")

    return match_regex(r".*")(skill)


async def rate(skill: Any, texts: list[str]) -> float:
    """Messages a second through one skill."""
    with OpsDroid(config={}, loopless=True) as opsdroid:
        opsdroid.eventloop = asyncio.get_running_loop()
        door = Door(opsdroid)
        opsdroid.connectors.append(door)
        skill.config = {"name": "skill"}
        opsdroid.register_skill(skill)
        began = time.perf_counter()
        for text in texts:
            await opsdroid.parse(Message(text=text, user="alice", target="bob", connector=door))
        took_s = time.perf_counter() - began
    if door.count != len(texts):
        raise SystemExit(f"{door.count} of {len(texts)} answers")
    return len(texts) / took_s


async def main() -> None:
    """Read texts and blocked words from standard input; print the rates."""
    logging.disable(logging.CRITICAL)
    gettext.install("opsdroid")  # as its command line does
    work = json.load(sys.stdin)
    rates = {
        "pass": await rate(passing, work["texts"]),
        "filter": await rate(filtering(frozenset(work["blocked"])), work["texts"]),
    }
    json.dump({"name": "opsdroid", "version": version("opsdroid"), "rates": rates}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
