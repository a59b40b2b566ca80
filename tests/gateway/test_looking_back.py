"""Looking back: page by page, after an absence, and only at what reached one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk import CONSUMED, PASS, Flag, Message, Module, Refused, State, Verdict
from boardtalk.testing import bench
from tests.gateway.town import heard, town


async def past(client: GatewayClient, **question: Any) -> control.Past:
    return await client.ask(control.History(**question), control.Past)


def bodies(page: control.Past) -> list[str]:
    return [entry["body"] for entry in page.entries]


async def say_all(client: GatewayClient, to: str, *texts: str) -> None:
    """Say something, and wait until all of it has come to somebody."""
    for text in texts:
        client.say(to, text)
    await client.ask(control.Contacts(), control.ContactList)


async def test_one_reads_upwards_page_by_page(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        await say_all(alice, "bob", *"12345")
        for _ in range(5):
            await heard(bob, "alice")
        pages, before = [], None
        while not pages or pages[-1].more:
            pages.append(await past(bob, other="alice", limit=2, before=before))
            before = pages[-1].entries[0]["row"]
    assert [bodies(page) for page in pages] == [["4", "5"], ["2", "3"], ["1"]]


async def test_who_was_away_reads_on_from_the_last_row_that_he_has(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        async with GatewayClient.connect(tmp_path, "bob") as bob:
            await say_all(alice, "bob", "1")
            seen = (await heard(bob, "alice")).row
        async with GatewayClient.connect(tmp_path, "bob") as other_tab:
            await say_all(alice, "bob", *"2345")
            for _ in range(4):
                await heard(other_tab, "alice")
            async with GatewayClient.connect(tmp_path, "bob") as bob:
                first = await past(bob, after=seen, limit=3)
                second = await past(bob, after=first.entries[-1]["row"], limit=3)
    assert [(bodies(page), page.more) for page in (first, second)] == [
        (["2", "3", "4"], True),
        (["5"], False),
    ]


async def test_nothing_falls_between_what_is_told_and_what_is_past(tmp_path: Path) -> None:
    """Whoever connects first and looks back then has everything, however busy it is just then."""
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as steady,
    ):
        for begun in range(5):
            for number in range(40):
                alice.say("bob", f"{begun}-{number}")
            await asyncio.sleep(0.01 * begun)
            async with GatewayClient.connect(tmp_path, "bob") as bob:
                known = set(bodies(await past(bob, limit=200, text=f"{begun}-")))
                while len(known) < 40:
                    known.add((await heard(bob, "alice")).body)
                assert known == {f"{begun}-{number}" for number in range(40)}
        for _ in range(200):
            await heard(steady, "alice")


async def test_what_does_not_go_into_one_answer_is_the_next_one_s(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        for number in range(12):
            await say_all(alice, "alice", f"{number}" + "x" * 60_000)
            await heard(alice, "alice")
        page = await past(alice, limit=12)
        assert page.more
        assert [body.rstrip("x") for body in bodies(page)] == [str(number) for number in range(4, 12)]


async def test_conversations_come_with_their_last_messages_newest_first(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        await say_all(alice, "bob", "to bob", "to bob again")
        await heard(bob, "alice")
        await heard(bob, "alice")
        await say_all(bob, "team", "to us all")
        assert (await heard(alice, "bob")).body == "to us all"
        await say_all(alice, "dave", "to dave")
        await asyncio.sleep(0.1)
        found = await alice.ask(control.Conversations(), control.ConversationList)
        told = [(each.other, each.last.sender, each.last.body, each.unread) for each in found.conversations]
        for_bob = await bob.ask(control.Conversations(), control.ConversationList)
    assert told == [
        ("dave", "alice", "to dave", 0),
        ("team", "bob", "to us all", 1),
        ("bob", "alice", "to bob again", 0),
    ]
    assert [(each.other, each.unread) for each in for_bob.conversations] == [("team", 0), ("alice", 2)]


class Guard(Module):
    """Lets nothing bad through, and nothing ugly as it is."""

    name = "guard"

    def on_message(self, message: Message) -> Verdict:
        if "refused" in message.body:
            raise Refused(128, "no")
        if "taken" in message.body:
            return CONSUMED
        return message.with_(body=message.body.replace("ugly", "****")) if "ugly" in message.body else PASS


async def test_one_looks_back_at_what_reached_one_as_it_did() -> None:
    async with bench(Guard) as gateway:
        for text in ("good", "refused", "taken", "ugly"):
            gateway.say("alice", "bob", text)
        await gateway.hears("bob", r"\*\*\*\*")
        history = gateway._hub.store.history
        assert [entry.body for entry in await history("alice", "bob")] == ["good", "refused", "taken", "ugly"]
        assert [entry.body for entry in await history("bob", "alice")] == ["good", "****"]
        assert await history("bob", "alice", text="ugly") == []


async def test_what_came_too_late_for_somebody_is_in_its_author_s_history_only() -> None:
    async with bench(Guard) as gateway:
        gateway.log_out("bob")
        late = gateway.say("alice", "bob", "now!", expiry=1)
        gateway.say("alice", "bob", "whenever you come")
        assert (await gateway.ended(late)).state is State.EXPIRED
        gateway.log_in("bob")
        await gateway.hears("bob", "whenever")
        history = gateway._hub.store.history
        assert [entry.body for entry in await history("bob", "alice")] == ["whenever you come"]
        assert [entry.body for entry in await history("alice", "bob")] == ["now!", "whenever you come"]


class Teller(Module):
    """Says something and changes it."""

    name = "teller"

    def on_message(self, message: Message) -> Verdict:
        if message.body != "go":
            return PASS
        self.context.send(Message(sender="alice", to="bob", body="half", id="one"))
        self.context.send(Message(sender="alice", to="bob", body="whole", refid="one", flags=Flag.REPLACES))
        return CONSUMED


async def test_who_was_away_learns_what_was_changed_of_what_he_has() -> None:
    async with bench(Teller) as gateway:
        gateway.say("alice", "bob", "go")
        await gateway.hears("bob", "whole")
        history = gateway._hub.store.history
        (message,) = await history("bob", "alice")
        assert message.body == "whole"
        (change,) = await history("bob", "alice", after=message.row)
        assert (change.flags & Flag.REPLACES, change.refid, change.body) == (Flag.REPLACES, "one", "whole")
