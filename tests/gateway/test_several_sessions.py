"""One user in several sessions: what he says and reads in one of them is known in all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from boardtalk.events import Delivery, Event, Marked, Sent, Update
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk import CONSUMED, PASS, Flag, Message, Module, State, Verdict
from boardtalk.testing import bench
from tests.gateway.town import heard, town

E = TypeVar("E", bound=Event)


async def next_of(client: GatewayClient, kind: type[E]) -> E:
    async with asyncio.timeout(5):
        async for event in client.events():
            if isinstance(event, kind):
                return event
    raise AssertionError


async def so_far(client: GatewayClient, kind: type[E]) -> list[E]:
    """What has come of a kind, before the answer to a message to oneself."""
    mark = client.say("gateway", "help")
    found: list[E] = []
    async with asyncio.timeout(5):
        async for event in client.events():
            if isinstance(event, Delivery) and event.message.refid == mark:
                return found
            if isinstance(event, kind):
                found.append(event)
    raise AssertionError


async def test_what_one_says_is_shown_in_his_other_sessions_and_not_in_the_same(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as phone,
        GatewayClient.connect(tmp_path, "alice") as desk,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        name = phone.say("bob", "hello")
        accepted = await next_of(phone, Update)
        shown = (await next_of(desk, Sent)).message
        told = await heard(bob, "alice")
        assert (shown.sender, shown.to, shown.body, shown.id) == ("alice", "bob", "hello", name)
        assert accepted.status.state is State.ACCEPTED
        assert accepted.row == shown.row == told.row > 0
        assert await so_far(phone, Sent) == []
        assert await so_far(bob, Sent) == []


async def test_what_comes_twice_is_shown_once_and_what_is_refused_too(
    tmp_path: Path,
) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as phone,
        GatewayClient.connect(tmp_path, "alice") as desk,
    ):
        for _ in range(2):
            phone.send(Message(sender="alice", to="bob", body="once", id="same"))
        phone.send(Message(sender="alice", to="nobody", body="to whom?", id="other"))
        phone.send(Message(sender="alice", to="bob", body="typing", flags=Flag.PRESENCE))
        while (await next_of(phone, Update)).message_id != "other":
            pass
        assert [each.message.body for each in await so_far(desk, Sent)] == ["once", "to whom?"]


async def test_a_stop_is_shown_wherever_its_author_is(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as phone,
        GatewayClient.connect(tmp_path, "alice") as desk,
    ):
        phone.stop("rover")
        for each in (phone, desk):
            assert (await next_of(each, Sent)).message.body == "stop"


async def test_what_one_has_read_is_read_in_all_his_sessions_and_after_a_restart(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as phone,
        GatewayClient.connect(tmp_path, "bob") as desk,
    ):
        for text in "123":
            alice.say("bob", text)
        rows = [(await heard(phone, "alice")).row for _ in range(3)]
        phone.mark_read("alice", rows[1])
        assert await next_of(desk, Marked) == Marked("bob", "alice", rows[1])
        phone.mark_read("alice", rows[0])  # it goes forward only
        phone.mark_read("No Address", rows[2])
        assert await so_far(phone, Marked) == []
        assert await so_far(desk, Marked) == []
    async with town(tmp_path), GatewayClient.connect(tmp_path, "bob") as bob:
        found = await bob.ask(control.Conversations(), control.ConversationList)
        told = [(each.read, each.unread) for each in found.conversations if each.other == "alice"]
        assert told == [(rows[1], 1)]
        bob.mark_read("alice", 1 << 60)  # what is still to come, nobody has read
        assert await so_far(bob, Marked) == []
        found = await bob.ask(control.Conversations(), control.ConversationList)
        (row,) = (each.read for each in found.conversations if each.other == "alice")
        assert rows[2] <= row < rows[2] + (1 << 20)


async def test_who_marks_a_conversation_gives_the_receipts_that_are_due(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        for name in ("one", "two", "three"):
            alice.send(Message(sender="alice", to="bob", body=name, id=name, flags=Flag.READ_RECEIPT))
        rows = [(await heard(bob, "alice")).row for _ in range(3)]
        bob.mark_read("alice", rows[1])
        read = set()
        while len(read) < 2:
            update = await next_of(alice, Update)
            read |= {update.message_id} if update.status.state is State.READ else set()
        assert read == {"one", "two"}


async def test_who_gives_a_receipt_has_read_up_to_there(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as phone,
        GatewayClient.connect(tmp_path, "bob") as desk,
    ):
        alice.send(Message(sender="alice", to="team", body="all!", id="all", flags=Flag.READ_RECEIPT))
        message = await heard(phone, "alice")
        phone.read(message)
        assert await next_of(desk, Marked) == Marked("bob", "team", message.row)


class Teller(Module):
    """Says something and changes it."""

    name = "teller"

    def on_message(self, message: Message) -> Verdict:
        if message.body != "go":
            return PASS
        change = {"refid": "one", "flags": Flag.REPLACES}
        self.context.send(Message(sender="alice", to="bob", body="quarter", id="one"))
        self.context.send(Message(sender="alice", to="bob", body="half", **change | {"flags": 0x24}))
        self.context.send(Message(sender="alice", to="bob", body="whole", **change))
        return CONSUMED


async def test_a_change_says_which_row_it_changes() -> None:
    async with bench(Teller) as gateway:
        gateway.say("alice", "bob", "go")
        await gateway.hears("bob", "whole")
        told = {each.message.body: each for each in gateway._inboxes["bob"]}  # the second one is never stored
        row = told["quarter"].message.row
        assert [told[body].replaces for body in ("quarter", "half", "whole")] == [0, row, row]
