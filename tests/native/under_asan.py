"""Runs the module that its arguments name, in this process, without gateway and jail: for AddressSanitizer.

Arguments: library, name, rounds, and what it is told, if not all kinds of things. The sanitizer has to be
there before Python is, by LD_PRELOAD.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boardtalk.instance.work import Work
from boardtalk.native import build
from boardtalk.native.module import Given, native
from boardtalk.sdk import Message, User


class Nobody(Work):
    """A context whose gateway listens to nothing."""

    def __init__(self, instance: str, tasks: asyncio.TaskGroup) -> None:
        super().__init__(instance, tasks)
        self.log: Any = self
        self.verbosity = 9
        self.sent = self.logged = 0

    def contact(self, address: str) -> None:
        return None

    def contacts(self) -> list[Any]:
        return []

    def register(self, contact: object) -> None:
        pass

    def report(self, message: Message, status: object) -> None:
        pass

    def send(self, message: Message, status: object = None) -> None:
        self.sent += 1

    def info(self, event: str, **values: Any) -> None:
        self.logged += 1

    warning = error = info


COMMANDS = (
    "say {noise}",
    'json key {{"x": [{{"key": "{noise}\\u00e4"}}], "key": 2}}',
    "json key {noise}",
    "config name",
    "heard",
    "long",
    "params",
    "group 5",
    "get http://127.0.0.1:1/{noise}",
    "talk sock://127.0.0.1:1",
    "script 1",
    "threads",
    "{noise}",
)


async def main(library: str, name: str, rounds: int, commands: Sequence[str]) -> None:
    chance = random.Random(1)
    async with asyncio.TaskGroup() as tasks:
        context = Nobody(name, tasks)
        settings = Given(items=(("address", name), ("name", "value")), helpers=str(build.helpers()))
        module = native(name, Path(library))(context, settings)  # type: ignore[arg-type]
        module.on_start()
        for number in range(1, rounds + 1):
            noise = "".join(
                chr(chance.choice((*range(32, 127), 228, 0x1F600))) for _ in range(chance.randrange(80))
            )
            text = chance.choice(commands).format(noise=noise.replace('"', "").replace("\\", ""))
            to = chance.choice((name, "somebody"))
            module.on_message(Message(sender="alice", to=to, body=text, id=f"n{number}", row=number))
            module.on_login(User(address="bob", online=bool(number % 2)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        module.on_cleanup()
        await context.end()
    print(f"{context.sent} sent, {context.logged} logged")


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:] or COMMANDS))
