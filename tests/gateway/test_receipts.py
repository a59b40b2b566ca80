"""Receipts: whoever asks for them is told when his message has arrived, and when it has been read."""

from __future__ import annotations

import asyncio

from boardtalk.sdk import CONSUMED, PASS, Code, Flag, Message, Module, State, Status, Verdict
from boardtalk.testing import Bench, bench

BOTH = Flag.DELIVERY_RECEIPT | Flag.READ_RECEIPT
PEOPLE = dict.fromkeys(("alice", "bob", "carol"), "viewer")


class Herald(Module):
    """Sends bob a message when told to, and notes what becomes of it."""

    name = "herald"

    def on_start(self) -> None:
        self.statuses: list[Status] = []

    def on_message(self, message: Message) -> Verdict:
        if message.body != "tell bob":
            return PASS
        self.context.send(Message(sender="alice", to="bob", body="news", id="news", flags=Flag.READ_RECEIPT))
        return CONSUMED

    def on_message_status(self, message: Message, status: Status) -> None:
        self.statuses.append(status)


def details(gateway: Bench, message_id: str, code: Code) -> list[str]:
    return [
        each.status.detail
        for each in gateway.statuses
        if each.message_id == message_id and each.status.code is code
    ]


async def soon(gateway: Bench) -> None:
    """Wait until all that was said so far has been told."""
    await gateway.ended(gateway.say("alice", "carol", "and now?"))
    await asyncio.sleep(0)


async def test_who_asks_for_it_is_told_once_that_his_message_was_read() -> None:
    async with bench(Herald, users=PEOPLE) as gateway:
        number = gateway.say("alice", "bob", "hello", flags=Flag.READ_RECEIPT)
        message = await gateway.hears("bob", "hello")
        for _ in range(2):  # two devices of his
            await gateway.read("bob", message)
        await soon(gateway)
        assert details(gateway, number, Code.DONE) == ["bob has read it"]
        told = [each.status.state for each in gateway.statuses if each.message_id == number]
        assert told == [State.ACCEPTED, State.DONE, State.READ]


async def test_who_does_not_ask_for_it_is_not_told() -> None:
    async with bench(Herald, users=PEOPLE) as gateway:
        number = gateway.say("alice", "bob", "hello", flags=Flag.DELIVERY_RECEIPT)
        await gateway.read("bob", await gateway.hears("bob", "hello"))
        await soon(gateway)
        assert details(gateway, number, Code.DONE) == []


async def test_nobody_reads_what_was_not_for_him() -> None:
    async with bench(Herald, users=PEOPLE) as gateway:
        number = gateway.say("alice", "bob", "hello", flags=Flag.READ_RECEIPT)
        await gateway.read("carol", await gateway.hears("bob", "hello"))
        await soon(gateway)
        assert details(gateway, number, Code.DONE) == []


async def test_in_a_group_each_member_is_told_of_to_whom_asks_and_else_only_the_first() -> None:
    async with bench(Herald, users=PEOPLE, groups={"team": list(PEOPLE)}) as gateway:
        plain = gateway.say("alice", "team", "hello")
        asked = gateway.say("alice", "team", "are you there?", flags=BOTH)
        for reader in ("bob", "carol"):
            await gateway.read(reader, await gateway.hears(reader, "there"))
        await soon(gateway)
        assert details(gateway, plain, Code.DELIVERED) == [""]
        assert sorted(details(gateway, asked, Code.DELIVERED)) == ["bob has it", "carol has it"]
        assert details(gateway, asked, Code.DONE) == ["bob has read it", "carol has read it"]


async def test_a_delivery_receipt_comes_even_for_a_message_without_id() -> None:
    async with bench(Herald, users=PEOPLE) as gateway:
        gateway.say("alice", "bob", "hello", id="")
        gateway.say("alice", "bob", "hello again", id="", flags=Flag.DELIVERY_RECEIPT)
        await gateway.hears("bob", "again")
        await soon(gateway)
        nameless = [each.status.code for each in gateway.statuses if each.message_id.startswith("~")]
        assert nameless == [Code.ACCEPTED, Code.DELIVERED]


async def test_a_module_learns_that_its_message_was_read() -> None:
    async with bench(Herald, users=PEOPLE) as gateway:
        gateway.say("alice", "carol", "tell bob")
        await gateway.read("bob", await gateway.hears("bob", "news"))
        await soon(gateway)
        assert isinstance(gateway.module, Herald)
        assert [each.code for each in gateway.module.statuses] == [Code.DELIVERED, Code.DONE]
