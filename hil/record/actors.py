"""People of a recording, who do at a running gateway what they did then."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final, Self

from boardtalk import stop as stopping
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.hil.record.steps import Ended, HangUp, Ring, Say, Steer, Stop
from boardtalk.sdk import ServiceError
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from boardtalk.hil.record.compare import Divergence
    from boardtalk.hil.record.meaning import Meaning
    from boardtalk.hil.record.outcomes import Key, Outcomes
    from boardtalk.hil.record.steps import Script, Step

PATIENCE_S: Final = 15.0
"""How much longer than then something may take."""
POLL_S: Final = 0.01
THINKS_S: Final = 0.1
"""Kept free before each step for comparing what has ended."""
SETTLE_S: Final = 0.2
"""How long after the end of a message all that belongs to it has been recorded."""


class Actors:
    """All of them, logged in while the `async with` lasts.

    Args:
        folder: the gateway's state folder.
        users: who they are.
        now: what becomes of what they say.
        speed: how much faster pauses pass. While something is under way they pass as they did.
    """

    def __init__(self, folder: Path, users: Iterable[str], now: Outcomes, speed: float) -> None:
        self.names: dict[Key, str] = {}
        """What messages are called now."""
        self.calls: dict[str, str] = {}
        """Ids of calls now."""
        self.under_way: set[Key | str] = set()
        """Messages that have not ended, and calls."""
        self._folder = folder
        self._users = users
        self._now = now
        self._speed = speed
        self._clients: dict[str, GatewayClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for user in self._users:
                client = await self._stack.enter_async_context(GatewayClient.connect(self._folder, user))
                self._clients[user] = client
                listening = asyncio.create_task(_listen(client), name=f"{user} listens")
                self._stack.push_async_callback(cancel_and_wait, listening)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def play(
        self, script: Script, meaning: Meaning, passed: Callable[[float], object]
    ) -> Divergence | None:
        """Do all of it, to the first divergence of a message: what follows it would be no repetition.

        Args:
            script: what to do.
            meaning: compares.
            passed: is told how far it is, by the recording's clock.
        """
        unsure: list[tuple[float, Say]] = []
        before = script.steps[0].at if script.steps else 0.0
        for step in script.steps:
            passed(step.at)
            if isinstance(step, Ended):
                await self._until_ended(step)
                unsure.append((_clock(), step.say))
            else:
                gap = step.at - before
                due = _clock() + (gap if self.under_way else gap / self._speed)
                await asyncio.sleep(due - _clock() - THINKS_S)
                if found := self._judge(unsure, meaning):
                    return found
                await asyncio.sleep(due - _clock())
                await self._do(step)
            before = step.at
        await asyncio.sleep(SETTLE_S)
        return self._judge(unsure, meaning)

    async def stop(self, robot: str) -> None:
        """Leave nothing that moves; if nobody can be reached, its leases end."""
        if self.under_way:
            with suppress(ServiceError):
                await stopping.stop(self._folder, (robot,), "replay")

    def _judge(self, unsure: list[tuple[float, Say]], meaning: Meaning) -> Divergence | None:
        """The first divergence of what ended some time ago, which is no longer unsure then."""
        while unsure and unsure[0][0] <= _clock() - SETTLE_S:
            _, say = unsure.pop(0)
            if found := meaning.of(say, self.names[say.key]):
                return found
        return None

    async def _until_ended(self, step: Ended) -> None:
        say = step.say
        with suppress(TimeoutError):
            async with asyncio.timeout(step.at - say.at + PATIENCE_S):
                while True:
                    if self._now.has_ended((say.message.sender, self.names[say.key])):
                        self.under_way.discard(say.key)
                        return
                    await asyncio.sleep(POLL_S)

    async def _do(self, step: Step) -> None:
        match step:
            case Say(_, message, key):
                self.names[key] = message.id or f"replay-{len(self.names)}"
                self.under_way.add(key)
                self._clients[message.sender].send(message.with_(id=self.names[key]))
            case Stop(_, by):
                with suppress(ServiceError):
                    await stopping.stop(self._folder, (self._now.robot,), by)
            case Ring(_, call):
                with suppress(Denied):
                    opened = await self._clients[call.sender].ask(
                        control.OpenCall(call.to, call.control), control.CallOpened
                    )
                    self.calls[call.id] = opened.call
                    self.under_way.add(call.id)
            case Steer(_, call, values) if call.id in self.calls:
                self._clients[call.sender].set_point(self.calls[call.id], values)
            case HangUp(_, call) if call.id in self.calls:
                self._clients[call.sender].hang_up(self.calls[call.id])
                self.under_way.discard(call.id)


def _clock() -> float:
    return asyncio.get_running_loop().time()


async def _listen(client: GatewayClient) -> None:
    """Take what comes: it is looked at where it is recorded."""
    async for _ in client.events():
        pass
