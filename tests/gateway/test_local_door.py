"""The local door: what terminal and command line get from a gateway, and what strangers don't."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from boardtalk import conf
from boardtalk.configuration import Configuration
from boardtalk.events import Delivery, Event, Update
from boardtalk.frontends import client, control
from boardtalk.frontends.client import Denied, GatewayClient, NoAnswer, NoGateway
from boardtalk.frontends.intake import Intake
from boardtalk.frontends.local import LocalDoor
from boardtalk.frontends.reception import Reception
from boardtalk.hub.calls import Calls
from boardtalk.hub.hub import Hub
from boardtalk.hub.marks import Marks
from boardtalk.loader import Runner
from boardtalk.people.directory import Directory, Group
from boardtalk.people.users import Users
from boardtalk.sdk import Code, Role, State
from boardtalk.sdk.audit import Attempt, Noted, audited
from boardtalk.sdk.channel import Channel
from boardtalk.store.schema import StoreError
from boardtalk.store.store import Store


def no_context(*_: object) -> Any:
    raise AssertionError("no module is started here")


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[list[str]]:
    """A hub behind its local door; yields the list of user changes that the broker would hear of."""
    changes: list[str] = []
    async with AsyncExitStack() as stack:
        users = Users.load(folder / "secrets", {"alice": Role.ADMIN, "bob": Role.OPERATOR})
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        hub = await stack.enter_async_context(Hub(store, Directory(users, {"team": Group(("alice", "bob"))})))
        intake = await stack.enter_async_context(Intake(hub, folder))
        users.subscribe(lambda: changes.append("changed"))
        runner = await stack.enter_async_context(Runner(no_context))
        empty = conf.parse("")
        configuration = Configuration(lambda: empty, empty, "alice", hub=hub, users=users, runner=runner)
        calls = await stack.enter_async_context(Calls(hub))
        reception = Reception(users, hub, lambda: "http://127.0.0.1:8080")
        door = LocalDoor(hub, intake, calls, users, configuration, reception=reception)
        await stack.enter_async_context(door.listening(folder))
        yield changes


async def until(client: GatewayClient, wanted: type[Event]) -> Event:
    async with asyncio.timeout(5):
        async for event in client.events():
            if isinstance(event, wanted):
                return event
    raise AssertionError


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        with monkeypatch.context() as hurry:
            hurry.setattr(client, "ANSWER_TIMEOUT_S", 0.0)
            for _ in range(2):
                with pytest.raises(NoAnswer, match="stop works all the same"):  # as the command line says it
                    await alice.ask(control.Contacts(), control.ContactList)
        await alice.ask(control.Conversations(), control.ConversationList)
        await alice.ask(control.Contacts(), control.ContactList)


async def test_what_is_not_answered_is_not_refused_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Marks, "move", full)
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        alice.mark_read("bob", 1)
        await alice.ask(control.Contacts(), control.ContactList)


async def test_two_people_talk_through_it(tmp_path: Path) -> None:
    async with (
        served(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        message_id = alice.say("bob", "hello")
        delivery = await until(bob, Delivery)
        update = await until(alice, Update)
    assert isinstance(delivery, Delivery)
    assert isinstance(update, Update)
    assert (delivery.message.sender, delivery.message.body) == ("alice", "hello")
    assert (update.message_id, update.status.state) == (message_id, State.ACCEPTED)


async def test_only_its_owner_may_open_the_socket(tmp_path: Path) -> None:
    async with served(tmp_path):
        mode = (tmp_path / control.SOCKET).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_a_stranger_is_told_how_to_become_a_user(tmp_path: Path) -> None:
    async with served(tmp_path):
        with pytest.raises(Denied, match="boardtalk user add mallory"):
            async with GatewayClient.connect(tmp_path, "mallory"):
                pass


async def test_without_a_gateway_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoGateway, match="boardtalk run"):
        async with GatewayClient.connect(tmp_path, "alice"):
            pass


async def test_users_are_changed_and_the_broker_hears_of_it(tmp_path: Path) -> None:
    async with served(tmp_path) as changes, GatewayClient.connect(tmp_path, "alice") as alice:
        added = await alice.ask(control.ChangeUser("add", "carol", Role.VIEWER), control.UserChanged)
        assert added.token
        with pytest.raises(Denied, match="address of a group"):
            await alice.ask(control.ChangeUser("add", "team"), control.UserChanged)
        contacts = await alice.ask(control.Contacts(), control.ContactList)
    assert "carol" in {contact.address for contact in contacts.contacts}
    assert changes == ["changed"]


@pytest.mark.parametrize(
    ("to", "text"),
    [("bob", ""), ("bob", "x" * 70_000), ("No address", "x")],
    ids=["empty", "long", "nowhere"],
)
async def test_a_refusal_names_the_message(tmp_path: Path, to: str, text: str) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        message_id = alice.say(to, text)
        update = await until(alice, Update)
        answer = await until(alice, Delivery)
    assert isinstance(update, Update)
    assert (update.message_id, update.status.state) == (message_id, State.REJECTED)
    assert isinstance(answer, Delivery)
    assert answer.message.refid == message_id


async def test_history_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        alice.say("bob", "hello")
        await until(alice, Update)
        past = await alice.ask(control.History("bob"), control.Past)
    assert [entry["body"] for entry in past.entries] == ["hello"]


@pytest.mark.parametrize("line", ["stop", "stop all", "rover: stop", "STOP!"])
async def test_a_stop_that_nobody_can_carry_out_is_shouted_back(tmp_path: Path, line: str) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        alice.say("nobody", line) if ":" not in line else alice.stop("rover")
        answer = await until(alice, Delivery)
    assert isinstance(answer, Delivery)
    assert answer.status is not None
    assert answer.status.code is Code.FAILED
    assert "hardware stop" in answer.message.body


async def test_a_stop_word_to_a_person_is_just_a_word(tmp_path: Path) -> None:
    async with (
        served(tmp_path),
        GatewayClient.connect(tmp_path, "alice") as alice,
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        alice.say("bob", "stop")
        delivery = await until(bob, Delivery)
    assert isinstance(delivery, Delivery)
    assert delivery.message.body == "stop"


@pytest.mark.parametrize(
    "noise", [b"\n", b"{}\n", b'{"op":"dance"}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"]
)
async def test_noise_costs_nobody_but_its_sender(tmp_path: Path, noise: bytes) -> None:
    async with served(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / control.SOCKET)
        writer.write(noise)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        async with GatewayClient.connect(tmp_path, "alice") as alice:
            assert await alice.ask(control.Contacts(), control.ContactList)


async def test_a_stop_waits_for_no_other_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a disk that refuses, as whoever reports that he has read something does."""

    async def never(store: Store) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Store, "_all_written", never)
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as client:
        asking = asyncio.create_task(client.ask(control.Why(""), control.Explained))
        await asyncio.sleep(0.1)
        client.stop("rover")
        told = await until(client, Delivery)
        assert isinstance(told, Delivery)
        assert "STOP NOT CARRIED OUT" in told.message.body  # there is no link process here
        asking.cancel()


async def test_how_the_gateway_is_stands_in_figures(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        async with GatewayClient.connect(tmp_path, "bob"):
            found = await alice.ask(control.System(), control.SystemReport)
        assert [each.user for each in found.sessions] == ["alice", "bob"]
        assert found.broker is None
        assert 0 < found.disk_free_bytes < found.disk_bytes
        assert 0 < found.store_bytes < 1 << 20 < found.memory_bytes


async def test_the_audit_log_is_read_page_by_page_and_searched(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        for robot in ("one", "two", "three"):
            alice.stop(robot)
            await until(alice, Delivery)
        newest = await alice.ask(control.Audit(limit=2), control.AuditPage)
        assert [(each.who, each.what) for each in newest.lines] == [("alice", "stop")] * 2
        assert newest.more
        oldest = await alice.ask(control.Audit(limit=2, before=newest.lines[0].seq), control.AuditPage)
        assert len(oldest.lines) == 1
        assert not oldest.more
        assert oldest.lines[0].seq < newest.lines[0].seq < newest.lines[1].seq
        assert (await alice.ask(control.Audit(text="nobody"), control.AuditPage)).lines == []


async def test_who_changes_a_board_is_in_the_audit_however_that_ends(tmp_path: Path) -> None:
    async with served(tmp_path):
        async with audited(tmp_path, Attempt("ana", "flash write", "rover", "pico")) as entry:
            entry.result = "pico: done"
        with pytest.raises(KeyError):
            async with audited(tmp_path, Attempt("ana", "flash erase", "rover", "pico")):
                raise KeyError("why")
        async with audited(tmp_path, Attempt("eve", "/flash plan", "rover")) as entry:
            entry.result = "denied"
        killed: Channel[Noted] = await Channel.connect(tmp_path / control.SOCKET, Noted)
        killed.send(Attempt("ben", "ota push", "rover", "1.3"))
        await killed.drained()
        killed.close()
        cut_off = audited(tmp_path, Attempt("tom", "ota push", "arm", "1.3"))
        entry = await cut_off.__aenter__()
        await asyncio.sleep(0.1)  # the one that was killed has gone
    async with served(tmp_path):
        entry.result = "1.3: updated"
        await cut_off.__aexit__(None, None, None)
    with closing(sqlite3.connect(tmp_path / "store.db")) as store:
        rows = store.execute("SELECT who, what, target, result FROM audit").fetchall()
    assert rows == [
        ("ana", "flash write", "rover", "pico: begins"),
        ("ana", "flash write", "rover", "pico: done"),
        ("ana", "flash erase", "rover", "pico: begins"),
        ("ana", "flash erase", "rover", "pico: FAILED: 'why'"),
        ("eve", "/flash plan", "rover", "denied"),
        ("ben", "ota push", "rover", "1.3: begins"),
        ("ben", "ota push", "rover", "1.3: its process ended without a word"),
        ("tom", "ota push", "arm", "1.3: begins"),
        ("tom", "ota push", "arm", "1.3: the gateway ended before that did"),
        ("tom", "ota push", "arm", "1.3: begins"),
        ("tom", "ota push", "arm", "1.3: updated"),
    ]
    async with audited(tmp_path, Attempt("ana", "flash write", "rover", "pico")):
        pass  # without a gateway nobody is kept from it
