"""Modules that misbehave, each in its own way, as soon as somebody talks to its bait."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from boardtalk.sdk import CONSUMED, PASS, Message, Module, Refused, Settings, Verdict

MB = 1 << 20


class Villain(Module):
    """Lets everything go on but what is for its bait."""

    name = "villain"

    class Config(Settings):
        """Which crime, and what provokes it."""

        crime: Literal["raise", "hang", "flood", "start slowly", "spin", "eat"]
        bait: str

    async def on_start(self) -> None:
        """Takes its time, if that is the crime."""
        self.hoard: list[bytearray] = []
        if self.config.crime == "start slowly":
            await asyncio.sleep(8)

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Commit the crime."""
        if message.to != self.config.bait:
            return PASS
        match self.config.crime:
            case "raise":
                raise RuntimeError("boom")
            case "hang":
                return self._hang()
            case "flood":
                self._flood(message)
            case "spin":
                while True:
                    pass
            case "eat":
                while True:
                    self.hoard.append(bytearray(MB))
        return PASS

    async def _hang(self) -> Verdict:
        await asyncio.Event().wait()
        return CONSUMED

    def _flood(self, message: Message) -> None:
        for number in range(20_000):
            try:
                self.context.send(Message(sender=message.sender, to="sink", body=f"flood {number}"))
            except Refused:
                return
