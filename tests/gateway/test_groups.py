"""Groups as the configuration and their owners have them, at real doors."""

from __future__ import annotations

import asyncio
from pathlib import Path

from boardtalk.events import Update
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.frontends.intake import Intake
from boardtalk.sdk import SYSTEM, Code, Message

from .town import asked, heard, town


async def test_a_group_of_the_configuration_reaches_its_members_at_their_terminals(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        alice.say("team", "hello")
        assert (await heard(bob, "alice")).groupid == "team"


async def test_one_member_who_is_away_does_not_keep_it_from_the_others(tmp_path: Path) -> None:
    async with town(tmp_path) as hub, GatewayClient.connect(tmp_path, "carol") as carol:
        hub.accept(Message(sender="alice", to="team", body="is anybody there?", to_online=True))
        assert (await heard(carol, "alice")).body == "is anybody there?"


async def test_if_nobody_can_have_it_its_author_is_told(tmp_path: Path) -> None:
    async with town(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(Message(sender="alice", to="team", body="is anybody there?", id="m1", to_online=True))
            async with asyncio.timeout(5):
                async for batch in alice.events():
                    if Code.OFFLINE in [each.status.code for each in batch if isinstance(each, Update)]:
                        break


async def test_what_was_said_in_a_group_is_in_its_members_history(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
        GatewayClient.connect(tmp_path, "dave") as dave,
    ):
        alice.say("team", "the key is under the mat")
        await heard(bob, "alice")
        for client, other, count in ((bob, "", 1), (bob, "team", 1), (bob, "alice", 0), (dave, "", 0)):
            past = await client.ask(control.History(other, text="key"), control.Past)
            assert len(past.entries) == count


async def test_its_owner_takes_people_in_and_out_and_that_lasts(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "dave") as dave,
    ):
        assert await asked(alice, "group team") == "team: alice, bob, carol"
        assert await asked(alice, "group team add dave") == "team: alice, bob, carol, dave"
        assert await asked(alice, "group team remove bob") == "team: alice, carol, dave"
        alice.say("team", "hello")
        assert (await heard(dave, "alice")).body == "hello"
    async with town(tmp_path) as hub:
        assert hub.directory.members("team") == ("alice", "carol", "dave")


async def test_nobody_else_but_an_admin_changes_it(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "bob") as bob,
        GatewayClient.connect(tmp_path, "dave") as dave,
        GatewayClient.connect(tmp_path, "root") as root,
    ):
        assert "only the owner of team" in await asked(bob, "group team add dave")
        assert await asked(bob, "group team") == "team: alice, bob, carol"
        assert "not a member" in await asked(dave, "group team")
        assert await asked(root, "group team add dave") == "team: alice, bob, carol, dave"


async def test_what_can_t_be_done_with_a_group_is_said(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        assert "no group 'crew'" in await asked(alice, "group crew add dave")
        assert "no user 'zoe'" in await asked(alice, "group team add zoe")
        assert "`group NAME`" in await asked(alice, "group team paint blue")
        assert "does not know" in await asked(alice, "modules now")


async def test_a_line_that_begins_with_a_slash_is_for_the_gateway_and_changes_no_conversation(
    tmp_path: Path,
) -> None:
    async with (
        town(tmp_path) as hub,
        Intake(hub, tmp_path) as intake,
        GatewayClient.connect(tmp_path, "root") as root,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        intake.receive("root", b"bob: hello", "test")
        intake.receive("root", b"/modules", "test")
        assert (await heard(root, SYSTEM)).body == "no module is loaded"
        intake.receive("root", b"are you there?", "test")
        assert [(await heard(bob, "root")).body for _ in range(2)] == ["hello", "are you there?"]
