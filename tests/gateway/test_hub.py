"""The hub: durable acceptance, statuses, routing, modules."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boardtalk.chain.chain import Chain, Stage
from boardtalk.events import Delivery, Event, Update
from boardtalk.hub import hub as hub_module
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import ModuleContext
from boardtalk.hub.hub import Hub
from boardtalk.hub.sessions import Session
from boardtalk.people.directory import Directory, Group
from boardtalk.people.users import Users
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    SYSTEM,
    Code,
    Completion,
    Contact,
    Flag,
    Kind,
    Message,
    Module,
    Refused,
    Role,
    State,
    Status,
    User,
    Verdict,
)
from boardtalk.store.store import MAX_OUTDATED, Store

OK = Status(code=Code.DONE, state=State.DONE)


@asynccontextmanager
async def gateway(folder: Path, *modules: type[Module]) -> AsyncIterator[Hub]:
    async with AsyncExitStack() as stack:
        users = Users.load(folder, {"alice": Role.OPERATOR, "bob": Role.OPERATOR, "carol": Role.VIEWER})
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        hub = await stack.enter_async_context(
            Hub(store, Directory(users, {"team": Group(("alice", "bob", "carol"))}))
        )
        started: dict[str, Module] = {}
        calls = await stack.enter_async_context(Calls(hub))
        for module in modules:
            context = await stack.enter_async_context(
                ModuleContext(hub, tasks, folder, module.name, calls=calls, blocks={})
            )
            started[module.name] = module(context, module.Config())
            result = started[module.name].on_start()
            if result:
                await result
        hub.load(Chain([Stage(name, module.on_message) for name, module in started.items()]), started)
        yield hub


async def events(session: Session, enough: Callable[[list[Event]], bool]) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(20):
        async for batch in session.events():
            found += batch
            for event in batch:
                if isinstance(event, Delivery):
                    session.handed_over(event)
            if enough(found):
                return found
    raise AssertionError(found)


def names(found: list[Event]) -> list[str]:
    """Of the messages that something became of."""
    return [event.message_id for event in found if isinstance(event, Update)]


def states(found: list[Event]) -> list[State]:
    return [event.status.state for event in found if isinstance(event, Update)]


def bodies(found: list[Event]) -> list[str]:
    return [event.message.body for event in found if isinstance(event, Delivery)]


def delivered(count: int) -> Callable[[list[Event]], bool]:
    return lambda found: len(bodies(found)) >= count


def hello(message_id: str = "m1", **more: Any) -> Message:
    return Message(**{"sender": "alice", "to": "bob", "body": "hello", "id": message_id, **more})


class Robot(Module):
    """Answers for the address `rover`."""

    name = "robot"

    def on_start(self) -> None:
        self.context.register(Contact(address="rover", kind=Kind.ROBOT, online=True))

    def on_message(self, message: Message) -> Verdict:
        if message.to != "rover":
            return PASS
        if not self.context.allowed(message.sender, "motion", message.to):
            raise Refused(Code.DENIED, "no")
        self.reply(message, f"did {message.body}", OK)
        self.context.report(message, OK)
        return CONSUMED


async def test_a_message_reaches_its_recipient_and_its_sender_learns_of_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice, hub.attach("bob") as bob:
            hub.accept(hello())
            assert bodies(await events(bob, delivered(1))) == ["hello"]
            found = await events(alice, lambda found: State.DONE in states(found))
        assert states(found) == [State.ACCEPTED, State.DONE]


async def test_accepted_is_said_only_of_what_is_on_disk(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello())
            await events(alice, lambda found: State.ACCEPTED in states(found))
            assert [entry.body for entry in await hub.store.history("alice")] == ["hello"]


async def test_an_unknown_recipient_is_named_with_the_nearest_address(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="bbo"))
            found = await events(alice, delivered(1))
        (answer,) = [event for event in found if isinstance(event, Delivery)]
        assert answer.message.sender == SYSTEM
        assert "did you mean bob?" in answer.message.body
        assert answer.status is not None
        assert answer.status.code is Code.BAD_ADDRESS


async def test_a_duplicate_is_answered_alike_and_not_done_again(tmp_path: Path) -> None:
    async with gateway(tmp_path, Robot) as hub:
        with hub.attach("alice") as alice:
            for _ in range(3):
                hub.accept(hello(to="rover"))
                found = await events(alice, delivered(1))
                assert bodies(found) == ["did hello"]
        assert len([entry for entry in await hub.store.history("alice", "rover") if entry.to == "rover"]) == 1
        assert hub.modules.chain.stages[0].health.calls == 1


async def test_the_same_id_with_another_text_is_rejected(tmp_path: Path) -> None:
    async with gateway(tmp_path, Robot) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="rover"))
            hub.accept(hello(to="rover", body="other"))
            found = await events(alice, delivered(2))
        assert "choose a new id" in bodies(found)[1]
        assert hub.modules.chain.stages[0].health.calls == 1


async def test_an_answer_tells_what_it_answers_and_how_that_ended(tmp_path: Path) -> None:
    async with gateway(tmp_path, Robot) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="rover", aid=7))
            found = await events(alice, lambda found: State.DONE in states(found))
        (answer,) = [event for event in found if isinstance(event, Delivery)]
        assert (answer.message.sender, answer.message.refid, answer.message.aid) == ("rover", "m1", 7)
        assert answer.status == OK


async def test_a_message_for_now_or_never_is_not_kept_for_the_absent(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello("1", expiry=0))
            hub.accept(hello("2", to_online=True))
            hub.accept(hello("3", flags=Flag.TRANSIENT))
            found = await events(alice, delivered(3))
        codes = {
            event.message_id: event.status.code
            for event in found
            if isinstance(event, Update) and event.status.code.failed
        }
        assert codes == {"1": Code.EXPIRED, "2": Code.OFFLINE, "3": Code.OFFLINE}
        with hub.attach("bob") as bob:
            hub.accept(hello("4"))
            assert bodies(await events(bob, delivered(1))) == ["hello"]


async def test_messages_for_the_absent_wait_over_a_restart_and_come_in_order_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            for number in range(20):
                hub.accept(hello(str(number), body=str(number)))
            await events(alice, lambda found: len(states(found)) >= 20)
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            assert bodies(await events(bob, delivered(20))) == [str(number) for number in range(20)]
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello("new", body="new"))
            assert bodies(await events(bob, delivered(1))) == ["new"]


async def test_more_than_a_session_holds_waits_and_what_comes_meanwhile_comes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.hub.sessions.MAX_SESSION_EVENTS", 50)
    monkeypatch.setattr("boardtalk.hub.handover.PAGE", 20)
    async with gateway(tmp_path) as hub:
        with hub.attach("carol") as carol:
            for number in range(200):
                hub.accept(hello(str(number), body=str(number), sender="alice"))
            hub.accept(hello("after", to="carol"))
            await events(carol, delivered(1))
        with hub.attach("bob") as bob:
            found = await events(bob, delivered(1))
            hub.accept(hello("new", body="new"))
            found += await events(bob, lambda more: "new" in bodies(more))
    assert bodies(found) == [*map(str, range(200)), "new"]


async def test_who_wrote_what_nobody_fetched_in_time_is_told_once_also_by_the_next_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.LOOK_EVERY_S", 0.05)
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello("m1", expiry=1))
            assert State.EXPIRED in states(await events(alice, lambda found: State.EXPIRED in states(found)))
            hub.accept(hello("m2", expiry=1))
            await events(alice, lambda found: State.ACCEPTED in states(found))
    await asyncio.sleep(1.1)
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice, hub.attach("bob") as bob:
            found = await events(alice, lambda found: State.EXPIRED in states(found))
            assert [each.message_id for each in found if isinstance(each, Update)] == ["m2"]
            hub.accept(hello("m3"))
            assert bodies(await events(bob, delivered(1))) == ["hello"]


async def test_what_expires_all_at_once_is_told_at_one_look_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a sleep of the machine."""
    monkeypatch.setattr("boardtalk.hub.handover.LOOK_EVERY_S", 2.5)
    monkeypatch.setattr("boardtalk.hub.handover.TURN_S", 0.0)
    count = 2 * MAX_OUTDATED + 1
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            for number in range(count):
                hub.accept(hello(f"m{number}", expiry=1))
            await events(alice, lambda found: states(found).count(State.ACCEPTED) == count)
            told, turns = 0, []
            async with asyncio.timeout(5):
                async for batch in alice.events():
                    turns.append(states(batch).count(State.EXPIRED))
                    told += turns[-1]
                    if told == count:
                        break
    assert max(turns) <= 2


async def test_what_waits_is_what_the_modules_made_of_it(tmp_path: Path) -> None:
    class Masking(Module):
        name = "masking"

        def on_message(self, message: Message) -> Verdict:
            return message.with_(body="***")

    async with gateway(tmp_path, Masking) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="team", body="fool"))
            await events(alice, lambda found: State.ACCEPTED in states(found))
        with hub.attach("bob") as bob:
            (delivery,) = [each for each in await events(bob, delivered(1)) if isinstance(each, Delivery)]
    assert (delivery.message.body, delivery.message.groupid) == ("***", "team")


async def test_what_a_front_end_did_not_hand_over_is_not_done_and_waits(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            with hub.attach("bob") as bob:
                hub.accept(hello("1", body="read"))
                await events(bob, delivered(1))
                await events(alice, lambda found: State.DONE in states(found))
                hub.accept(hello("2", body="unread"))
                await events(alice, lambda found: State.ACCEPTED in states(found))
                while not bob.open:
                    await asyncio.sleep(0)
            assert [entry.state for entry in await hub.store.history("alice")] == ["done", "accepted"]
            with hub.attach("bob") as bob:
                assert bodies(await events(bob, delivered(1))) == ["unread"]
                assert State.DONE in states(await events(alice, lambda found: bool(states(found))))


async def test_what_people_said_before_the_gateway_died_passes_the_modules_and_arrives(
    tmp_path: Path,
) -> None:
    class Loud(Module):
        name = "loud"

        def on_message(self, message: Message) -> Verdict:
            return message.with_(body=message.body.upper())

    async with Store.open(tmp_path / "store.db") as store:  # died between acceptance and the first module
        for number in range(3):
            store.put(hello(str(number), body=f"n{number}"))
        store.put(hello("late", body="late", expiry=0))
        await anext(store.committed())
    async with gateway(tmp_path, Loud) as hub:
        with hub.attach("bob") as bob:
            assert bodies(await events(bob, delivered(3))) == ["N0", "N1", "N2"]
    async with gateway(tmp_path) as hub:
        assert [entry.state for entry in await hub.store.history("alice")] == [*["done"] * 3, "expired"]


async def test_a_group_message_passes_the_chain_once_and_reaches_every_other_member(tmp_path: Path) -> None:
    class Counting(Module):
        name = "counting"

    async with gateway(tmp_path, Counting) as hub:
        with hub.attach("alice") as alice, hub.attach("bob") as bob, hub.attach("carol") as carol:
            hub.accept(hello(to="team"))
            for session in (bob, carol):
                (delivery,) = [
                    each for each in await events(session, delivered(1)) if isinstance(each, Delivery)
                ]
                assert delivery.message.groupid == "team"
            assert delivered(1)(list(alice._events)) is False
        assert hub.modules.chain.stages[0].health.calls == 1


async def test_what_a_module_sends_enters_the_chain_behind_it(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class First(Module):
        name = "first"

        def on_message(self, message: Message) -> Verdict:
            seen.append(("first", message.body))
            if message.body == "hello":
                self.context.send(message.with_(body="also", id="s1"))
            return PASS

    class Second(Module):
        name = "second"

        def on_message(self, message: Message) -> Verdict:
            seen.append(("second", message.body))
            return PASS

    async with gateway(tmp_path, First, Second) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello())
            await events(bob, delivered(2))
    assert sorted(seen) == [("first", "hello"), ("second", "also"), ("second", "hello")]


async def test_a_module_learns_what_became_of_what_it_sent(tmp_path: Path) -> None:
    learned = asyncio.get_running_loop().create_future()

    class Sender(Module):
        name = "sender"

        def on_message(self, message: Message) -> Verdict:
            self.context.send(message.with_(sender="alice", to="nobody", id="s1"))
            return CONSUMED

        def on_message_status(self, message: Message, status: Status) -> None:
            learned.set_result((message.id, status.code))

    async with gateway(tmp_path, Sender) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello())
            assert await asyncio.wait_for(learned, 5) == ("s1", Code.BAD_ADDRESS)
            found = await events(alice, lambda found: State.REJECTED in states(found))
    assert [each.message_id for each in found if isinstance(each, Update)][-1] == "s1", "so does its author"


async def test_modules_are_told_of_logins_and_a_failing_one_hurts_nobody(tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []

    class Failing(Module):
        name = "failing"

        def on_login(self, user: User) -> None:
            sys.exit("boom")

        def on_message(self, message: Message) -> Verdict:
            sys.exit("boom")

    class Watching(Module):
        name = "watching"

        async def on_login(self, user: User) -> None:
            seen.append((user.address, user.online))

    async with gateway(tmp_path, Failing, Watching) as hub:
        with hub.attach("alice"), hub.attach("alice"):
            pass
        with hub.attach("bob") as bob:
            hub.accept(hello())
            await events(bob, delivered(1))
    assert seen[:2] == [("alice", True), ("alice", False)]


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_module_that_can_not_complete_a_line_leaves_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr("boardtalk.hub.callbacks.COMPLETE_S", 0.05)

    class Failing(Robot):
        async def on_complete(self, to: str, line: str) -> list[Completion]:
            if hangs:
                await asyncio.Event().wait()
            raise RuntimeError("boom")

    async with gateway(tmp_path, Failing) as hub:
        assert await hub.modules.complete("rover", "for") == []
        assert hub.modules.chain.stages[0].health.last_error.startswith("on_complete: ")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raises", "boom"),
        ("hangs", "does not answer within"),
        ("is no JSON", "object"),
        ("is too long", "262144 bytes at most"),
    ],
)
async def test_who_looks_at_a_module_that_fails_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    monkeypatch.setattr("boardtalk.hub.callbacks.SHOW_S", 0.05)

    class Failing(Robot):
        async def on_show(self, user: str) -> dict[str, object]:
            match how:
                case "hangs":
                    await asyncio.Event().wait()
                case "is no JSON":
                    return {"it": object()}
                case "is too long":
                    return {"it": "x" * 300_001}
            raise RuntimeError("boom")

    async with gateway(tmp_path, Failing) as hub:
        with pytest.raises(Refused, match=reason):
            await hub.modules.show("alice", "robot")
        assert hub.modules.chain.stages[0].health.last_error.startswith("on_show: ")
        with pytest.raises(Refused, match="no module 'none' is loaded"):
            await hub.modules.show("alice", "none")


async def test_a_module_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    class Hung(Module):
        name = "hung"

        async def on_login(self, user: User) -> None:
            await asyncio.Event().wait()

    async with asyncio.timeout(5), gateway(tmp_path, Hung) as hub:
        with hub.attach("alice"):
            await asyncio.sleep(0)


async def test_order_within_a_conversation_is_kept_while_another_one_waits(tmp_path: Path) -> None:
    gate = asyncio.Event()

    class Slow(Module):
        name = "slow"

        async def on_message(self, message: Message) -> Verdict:
            if message.sender == "alice" and message.body == "0":
                await gate.wait()
            return PASS

    async with gateway(tmp_path, Slow) as hub:
        with hub.attach("bob") as bob, hub.attach("carol") as carol:
            for number in range(5):
                hub.accept(hello(f"a{number}", body=str(number)))
            hub.accept(hello("c", sender="bob", to="carol", body="quick"))
            assert bodies(await events(carol, delivered(1))) == ["quick"]
            gate.set()
            assert bodies(await events(bob, delivered(5))) == ["0", "1", "2", "3", "4"]


async def test_a_thousand_conversations_keep_their_order_and_none_waits_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.chain.chain.HARD_DEADLINE_NS", 60 * 10**9)
    gate = asyncio.Event()

    class Slow(Module):
        name = "slow"

        async def on_message(self, message: Message) -> Verdict:
            if message.sender == "p0":
                await gate.wait()
            else:
                await asyncio.sleep(hash((message.sender, message.body)) % 10 / 100)
            return PASS

    people = [f"p{number}" for number in range(1000)]
    async with gateway(tmp_path, Slow) as hub:
        with hub.attach("bob") as bob:
            for number in range(3):
                for person in people:
                    hub.accept(hello(f"{number}", sender=person, body=f"{number}"))
            found = await events(bob, delivered(3 * 999))
            gate.set()
            found += await events(bob, delivered(3))
    heard = [event.message for event in found if isinstance(event, Delivery)]
    assert [message.sender for message in heard[-3:]] == ["p0"] * 3
    for person in people:
        assert [message.body for message in heard if message.sender == person] == ["0", "1", "2"]


async def test_more_than_50_commands_to_a_robot_do_not_wait_for_a_slow_module(tmp_path: Path) -> None:
    """They would be too late when they come to it: their senders are told at once."""
    gate = asyncio.Event()

    class Slow(Module):
        name = "slow"

        async def on_message(self, message: Message) -> Verdict:
            await gate.wait()
            return PASS

    async with gateway(tmp_path, Slow, Robot) as hub:
        with hub.attach("alice") as alice:
            for number in range(1 + 50 + 5):
                hub.accept(hello(f"m{number}", to="rover", body=str(number)))
            found = await events(alice, lambda found: states(found).count(State.REJECTED) == 5)
            busy = [event for event in found if isinstance(event, Update) and event.status.code is Code.BUSY]
            assert [event.message_id for event in busy] == [f"m{number}" for number in range(51, 56)]
            gate.set()
            assert len(bodies(await events(alice, delivered(51)))) == 51


async def test_a_conversation_behind_an_asynchronous_module_takes_no_turn_of_all_for_each_message(
    tmp_path: Path,
) -> None:
    """With everybody's turns as long as they are under load, commands would expire in their own queue."""

    turns, asked_in = 0, []

    class Prompt(Module):
        name = "prompt"

        async def on_message(self, message: Message) -> Verdict:
            asked_in.append(turns)
            return PASS

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with gateway(tmp_path, Prompt) as hub:
        with hub.attach("bob") as bob:
            counting = asyncio.create_task(count())
            for number in range(900):
                hub.accept(hello(f"m{number}"))
            await events(bob, delivered(900))
            counting.cancel()
    assert len(set(asked_in)) < 450


async def test_who_comes_while_the_gateway_is_seconds_behind_is_refused_as_busy(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello("early"))
            time.sleep(hub_module.MAX_BEHIND_S + 0.1)  # that is what keeps it behind
            await events(bob, delivered(1))
            hub.store.put(hello("waits", accepted=time.monotonic()))
            with pytest.raises(Refused, match="2 s behind") as refused:
                hub.accept(hello("late"))
            assert refused.value.code is Code.BUSY
            await events(bob, delivered(1))
            hub.accept(hello("again"))
            await events(bob, delivered(1))


async def test_who_waits_for_room_while_the_gateway_is_behind_lets_it_catch_up(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello("early"))
            time.sleep(hub_module.MAX_BEHIND_S + 0.1)
            await events(bob, delivered(1))
            hub.store.put(hello("waits", accepted=time.monotonic()))
            async with asyncio.timeout(10):
                while True:
                    try:
                        hub.accept(hello("late"))
                        break
                    except Refused:
                        await hub.room()
            await events(bob, delivered(2))


async def test_a_burst_leaves_modules_their_turns(tmp_path: Path) -> None:
    """A module's deadline runs from the moment when it is called: it must not wait for the rest."""
    waited: list[int] = []

    class Brief(Module):
        name = "brief"

        async def on_message(self, message: Message) -> Verdict:
            waited.append(hub.modules.chain.stages[0].health.calls - len(waited))
            return PASS

    async with gateway(tmp_path, Brief) as hub:
        with hub.attach("bob") as bob:
            for number in range(5_000):
                hub.accept(hello(sender=f"p{number}"))
            await events(bob, delivered(5_000))
    assert max(waited) < 200, "messages were put to the module before it could begin with this one"


async def test_commands_under_way_when_the_gateway_died_are_not_carried_out_later(tmp_path: Path) -> None:
    class Silent(Module):
        name = "silent"

        def on_message(self, message: Message) -> Verdict:
            return CONSUMED

    async with gateway(tmp_path, Silent) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello("m1", to="rover"))
            hub.accept(hello("m2"))
            await events(alice, lambda found: states(found).count(State.ACCEPTED) == 2)
    async with gateway(tmp_path, Silent) as hub:
        assert hub.modules.chain.stages[0].health.calls == 0
    async with gateway(tmp_path, Silent) as hub:
        command, consumed = await hub.store.history("alice")
        assert command.state == "unknown", "a board may have it, and executed it"
        assert consumed.state == "unknown", "the module may have done something with it"


async def test_c05_a_module_may_find_out_what_became_of_it_and_the_sender_is_told_when_he_is_there(
    tmp_path: Path,
) -> None:
    class Slow(Module):
        """Takes a message and is killed before it has an answer; the next one knows it at once."""

        name = "slow"

        def on_message(self, message: Message) -> Verdict:
            return CONSUMED if message.to == "rover" else PASS

        def on_unfinished(self, message: Message) -> Verdict:
            if message.body != "hello":
                raise ValueError(message.body)
            self.context.report(message, OK)
            self.reply(message, "done at last", OK)
            return CONSUMED

    async with gateway(tmp_path, Slow) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello("m1", to="rover"))
            hub.accept(hello("m2", to="rover", body="and goodbye"))
            await events(alice, lambda found: states(found).count(State.ACCEPTED) == 2)
    async with gateway(tmp_path, Slow) as hub:
        await asyncio.sleep(0.05)
        with hub.attach("alice") as alice:
            found = await events(alice, delivered(1))
            ends = {each.message_id: each.status.state for each in found if isinstance(each, Update)}
            assert ends == {"m1": State.DONE, "m2": State.UNKNOWN}, "the module failed to say of the second"
            assert bodies(found) == ["done at last"]
        with hub.attach("alice") as alice:
            hub.sessions.push("alice", Update("alice", "last", "rover", OK, 0.0))
            assert len(states(await events(alice, lambda found: bool(states(found))))) == 1, "told once"
    async with gateway(tmp_path, Slow) as hub:
        assert [each.state for each in await hub.store.history("alice", "rover")][:2] == ["done", "unknown"]


async def test_c05_one_who_may_have_come_to_the_broker_already_is_told_once_when_he_is_seen_there(
    tmp_path: Path,
) -> None:
    class Late(Module):
        """Finds out what became of a message when somebody asks."""

        name = "late"
        unfinished: Message | None = None

        def on_message(self, message: Message) -> Verdict:
            if self.unfinished is not None:
                self.context.report(self.unfinished, OK)
            return CONSUMED

        def on_unfinished(self, message: Message) -> Verdict:
            self.unfinished = message
            return CONSUMED

    async with gateway(tmp_path, Late) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello("m1", to="rover"))
            await events(alice, lambda found: State.ACCEPTED in states(found))
    async with gateway(tmp_path, Late) as hub:
        with hub.attach(None, frozenset()) as broker:
            hub.accept(hello("m2", sender="bob", to="rover"))
            found = await events(broker, lambda found: "m2" in names(found))
            await asyncio.sleep(0.05)
            hub.listen(broker, frozenset({"alice"}))
            hub.sessions.push("alice", Update("alice", "last", "rover", OK, 0.0))
            found += await events(broker, lambda found: "last" in names(found))
            assert names(found).count("m1") == 1


async def test_an_address_of_one_module_is_not_another_s(tmp_path: Path) -> None:
    class Thief(Module):
        name = "thief"

    async with gateway(tmp_path, Robot, Thief) as hub:
        thief = hub.modules["thief"]
        with pytest.raises(Refused, match="somebody else"):
            thief.context.register(Contact(address="rover", kind=Kind.ROBOT))
        with pytest.raises(Refused, match="somebody else"):
            thief.context.register(Contact(address="alice", kind=Kind.ROBOT))
        with pytest.raises(Refused, match="belongs to"):
            thief.context.send(Message(sender="rover", to="alice", body="I am the rover"))


@pytest.mark.parametrize(("limit", "most"), [("EVENTS", 5), ("CHARS", 20)])
async def test_c17_a_front_end_that_reads_nothing_is_cut_off_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(f"boardtalk.hub.sessions.MAX_SESSION_{limit}", most)
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as lazy, hub.attach("bob") as diligent:
            seen = 0
            for number in range(20):
                hub.accept(hello(str(number)))
                seen += len(bodies(await events(diligent, delivered(1))))
            assert seen == 20
            assert lazy.backlog <= 5


# Why ------------------------------------------------------------------------------------------


class Polite(Module):
    """Explains itself."""

    name = "polite"

    def on_message(self, message: Message) -> Verdict:
        self.context.explain(message, "greeted", "x" * 10_000)
        return message.with_(body=f"dear {message.to}: {message.body}")


async def test_a_message_s_way_is_told_in_the_order_in_which_it_went(tmp_path: Path) -> None:
    async with gateway(tmp_path, Polite, Robot) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="rover", via="mqtt"))
            await events(alice, delivered(1))
        found = await hub.traces.why("alice", "")
        steps = [(step.who, step.what) for step in found.steps]
        told = {step.what: step.detail for step in found.steps}
    assert (found.message.id, found.message.state) == ("m1", "done")
    assert steps[:2] == [("mqtt", "came in"), (SYSTEM, "on disk, enters the chain")]
    assert sorted(steps[2:]) == sorted(
        [("polite", "greeted"), ("polite", "replaced"), ("robot", "consumed"), (SYSTEM, "done")]
    )
    assert steps.index(("polite", "replaced")) < steps.index(("robot", "consumed"))
    assert len(told["greeted"]) == 2000
    assert [answer.body for answer in found.answers] == ["did dear rover: hello"]


async def test_a_message_is_found_by_its_id_and_by_its_row_and_is_still_known_later(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            for number in (1, 2):
                hub.accept(hello(f"m{number}", via="local"))
            hub.accept(hello("", to="bob"))
            await events(bob, delivered(3))
    async with gateway(tmp_path) as hub:
        assert (await hub.traces.why("alice", "m1")).message.id == "m1"
        last = (await hub.traces.why("alice", "")).message
        assert last.id == ""
        assert (await hub.traces.why("alice", f"~{last.row}")).message == last
        assert (await hub.traces.why("bob", "m2")).message.id == "m2"


@pytest.mark.parametrize("message_id", ["m9", "~1", "~99999999999999999999", "~", "m1' OR 1=1 --"])
async def test_what_nobody_sent_is_not_explained(tmp_path: Path, message_id: str) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello())
            await events(bob, delivered(1))
        with pytest.raises(Refused, match="you have sent or got no message"):
            await hub.traces.why("alice", message_id)


async def test_others_messages_are_explained_to_those_who_may_inspect_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="alice", sender="alice"))
            await events(alice, delivered(1))
        assert (await hub.traces.why("bob", "m1")).message.sender == "alice"
        with pytest.raises(Refused):
            await hub.traces.why("carol", "m1")


class Censor(Module):
    """Lets nothing to carol pass."""

    name = "censor"

    def on_message(self, message: Message) -> Verdict:
        if message.to == "carol":
            raise Refused(Code.DENIED, "not to her")
        return PASS


async def test_who_was_kept_from_a_message_can_t_read_it_by_asking_why(tmp_path: Path) -> None:
    async with gateway(tmp_path, Censor) as hub:
        with hub.attach("alice") as alice:
            hub.accept(hello(to="carol", body="a secret"))
            await events(alice, delivered(1))
        found = (await hub.traces.why("alice", "m1")).message
        assert (found.body, found.state) == ("a secret", "rejected")
        for name in ("m1", f"~{found.row}"):
            with pytest.raises(Refused):
                await hub.traces.why("carol", name)


async def test_who_asks_why_without_end_is_refused_and_others_are_not(tmp_path: Path) -> None:
    async with gateway(tmp_path) as hub:
        with hub.attach("bob") as bob:
            hub.accept(hello())
            await events(bob, delivered(1))
        asked = [hub.traces.why("alice", "m1") for _ in range(100)]
        refused = [
            each for each in await asyncio.gather(*asked, return_exceptions=True) if type(each) is Refused
        ]
        assert 70 < len(refused) < 100
        assert {each.code for each in refused} == {Code.BUSY}
        assert (await hub.traces.why("bob", "m1")).message.id == "m1"


@pytest.mark.parametrize("row", [2**63, -1])
async def test_a_module_can_t_block_the_store_by_explaining_what_is_not_there(
    tmp_path: Path, row: int
) -> None:
    async with gateway(tmp_path, Polite) as hub:
        with pytest.raises(ValueError, match="row"):
            hub.modules["polite"].context.explain(hello().with_(row=row), "x")
        with pytest.raises(ValueError, match="row"):
            hub.modules["polite"].context.report(hello().with_(row=row), OK)
        with hub.attach("bob") as bob:
            hub.accept(hello())
            await events(bob, delivered(1))


@pytest.mark.parametrize("sender", ["", "Alice", "a" * 100_000, "a/b"])
async def test_a_module_sends_under_names_that_can_be_somebodys_only(tmp_path: Path, sender: str) -> None:
    async with gateway(tmp_path, Polite) as hub:
        with pytest.raises(ValueError, match="is not an address"):
            hub.modules["polite"].context.send(hello(sender=sender))
