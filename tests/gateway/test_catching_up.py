"""What comes for somebody in the moments after he came: in order behind what waited for him."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any

import pytest

from boardtalk.events import Delivery
from boardtalk.hub.sessions import Session
from boardtalk.sdk import Code, Contact, Flag, Kind, Message, Module, State, Status, Verdict
from boardtalk.store.records import Waiting
from boardtalk.testing import Bench, bench

DONE = Status(code=Code.DONE, state=State.DONE)
PASSING = Flag.REPLACES | Flag.TRANSIENT


class Rover(Module):
    """Says what the tests have it say, and notes what became of it."""

    name = "rover"

    def on_start(self) -> None:
        self.context.register(Contact(address="rover", kind=Kind.ROBOT, online=True))
        self.codes: dict[str, Code] = {}

    def on_message_status(self, message: Message, status: Status) -> None:
        self.codes[message.id] = status.code

    def tell(self, body: str, status: Status | None = None, **more: Any) -> None:
        self.context.send(Message(sender="rover", to="bob", body=body, **more), status)


class Keeper(Module):
    """Takes from messages that they pass."""

    name = "keeper"

    def on_message(self, message: Message) -> Verdict:
        return message.with_(flags=Flag(0))


@asynccontextmanager
async def away(*waiting: str) -> AsyncIterator[tuple[Bench, Rover]]:
    """A gateway in which these texts of Alice's wait for Bob."""
    async with bench(Rover) as gateway:
        gateway.log_out("bob")
        for text in waiting:
            gateway.say("alice", "bob", text)
        await settled(gateway)
        assert isinstance(gateway.module, Rover)
        yield gateway, gateway.module


async def settled(gateway: Bench) -> None:
    """Wait until what was said so far has found its way."""
    await gateway.ended(gateway.say("alice", "alice", "and now?"))


def came(gateway: Bench, user: str | None = "bob") -> AbstractContextManager[Session]:
    """A session that hands nothing over by itself."""
    return gateway._hub.attach(user)


async def heard(session: Session, last: str, *, hands_over: bool = True) -> list[Delivery]:
    """What comes, up to a text."""
    found: list[Delivery] = []
    async with asyncio.timeout(5):
        async for batch in session.events():
            found += [each for each in batch if isinstance(each, Delivery)]
            for each in found if hands_over else ():
                session.handed_over(each)
            if any(each.message.body == last for each in found):
                return found
    raise AssertionError(found)


def hand_over(session: Session) -> None:
    """Have it hand over what it has."""
    for each in list(session.open.values()):
        session.handed_over(each)


class Late:
    """Reads of the store as they are when the machine is busy: first something is found, then time passes."""

    def __init__(self, read: Callable[..., Awaitable[list[Waiting]]]) -> None:
        self._read = read
        self.found = asyncio.Event()
        self.go_on = asyncio.Event()
        self.again = asyncio.Event()
        """It is read once more."""

    async def __call__(self, *arguments: Any) -> list[Waiting]:
        if self.go_on.is_set():
            self.again.set()
        if found := await self._read(*arguments):
            self.found.set()
            await self.go_on.wait()
        return found


def bodies(found: list[Delivery]) -> list[str]:
    return [each.message.body for each in found]


async def test_answers_and_changes_come_behind_what_waited_as_they_were_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.PAGE", 2)
    async with away("1", "2", "3") as (gateway, rover):
        with came(gateway) as bob:
            rover.tell("0 %", id="drive")
            rover.tell("50 %", refid="drive", flags=PASSING)
            gateway.say("alice", "bob", "4")
            await settled(gateway)
            rover.tell("done", DONE, refid="drive", flags=Flag.REPLACES)
            found = await heard(bob, "done")
        assert bodies(found) == ["1", "2", "3", "0 %", "50 %", "4", "done"]
        first, *changes = [each for each in found if each.message.sender == "rover"]
        assert [each.replaces for each in changes] == [first.message.row] * 2
        assert [each.status for each in found] == [*[None] * 6, DONE]
        assert not await gateway._hub.store.held("bob", 10)


async def test_who_goes_before_he_has_caught_up_finds_the_answer_when_he_comes_again() -> None:
    async with away("1") as (gateway, rover):
        with came(gateway):
            rover.tell("for now", id="now", flags=Flag.TRANSIENT)
            rover.tell("done", DONE)
        await gateway._until(lambda: "now" in rover.codes, lambda: "the rover is told")
        assert rover.codes == {"now": Code.OFFLINE}
        with came(gateway) as bob:
            assert bodies(await heard(bob, "done")) == ["1", "done"]
        found = await gateway._hub.store.history("bob")
        assert [(entry.body, entry.state) for entry in found] == [("1", "done"), ("done", "done")]


async def test_what_passes_is_bounded_and_of_what_is_stored_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.behind.MAX_SIZE", 5 * 1100)
    async with away("1") as (gateway, rover):
        with came(gateway) as bob:
            for number in range(7):
                rover.tell(f"{number} %", id=f"p{number}", flags=Flag.TRANSIENT)
            rover.tell("a", DONE)
            await settled(gateway)
            assert rover.codes == dict.fromkeys([f"p{number}" for number in range(7)], Code.OFFLINE)
            rover.tell("b", DONE)
            assert bodies(await heard(bob, "b")) == ["1", "a", "b"]


async def test_what_was_too_late_while_it_was_behind_is_not_handed_over() -> None:
    async with away("1") as (gateway, rover):
        with came(gateway) as bob:
            rover.tell("soon", DONE, id="soon", expiry=1)
            await heard(bob, "1", hands_over=False)
            await asyncio.sleep(1.1)
            rover.tell("later", DONE)
            hand_over(bob)
            assert bodies(await heard(bob, "later")) == ["later"]


async def test_a_front_end_that_hands_nothing_over_does_not_keep_another_one_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.PATIENCE_S", 0.05)
    async with away("1") as (gateway, rover):
        with came(gateway) as stuck:
            await heard(stuck, "1", hands_over=False)
            with came(gateway) as other:
                rover.tell("done", DONE)
                assert bodies(await heard(other, "done", hands_over=False)) == ["done"]
                hand_over(stuck)
                rover.tell("again", DONE)
                assert bodies(await heard(other, "again")) == ["again"]


async def test_who_is_there_by_himself_does_not_wait_for_a_broker_that_gets_what_waited() -> None:
    async with away() as (gateway, rover):
        gateway.log_out("alice")
        rover.context.send(Message(sender="rover", to="alice", body="for later"))
        with came(gateway) as bob, came(gateway, None) as broker:
            await heard(broker, "for later", hands_over=False)
            rover.tell("done", DONE)
            assert bodies(await heard(bob, "done")) == ["done"]


async def test_what_a_front_end_goes_away_with_comes_to_one_that_came_later_at_once() -> None:
    async with away() as (gateway, _):
        with ExitStack() as lost:
            lost.enter_context(came(gateway))
            gateway.say("alice", "bob", "1")
            await settled(gateway)
            with came(gateway) as other:
                lost.close()
                assert bodies(await heard(other, "1")) == ["1"]


async def test_what_is_handed_over_while_the_store_is_read_does_not_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.PATIENCE_S", 0.05)
    async with away("1") as (gateway, rover):
        with came(gateway) as bob:
            await heard(bob, "1")
        late = Late(gateway._hub.store.held)
        monkeypatch.setattr(gateway._hub.store, "held", late)
        with came(gateway) as bob:
            rover.tell("2", DONE)
            await late.found.wait()
            assert bodies(await heard(bob, "2")) == ["2"]
            late.go_on.set()
            rover.tell("3", DONE)
            assert bodies(await heard(bob, "3")) == ["3"]


async def test_what_is_handed_over_while_the_expired_is_looked_for_has_not_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.LOOK_EVERY_S", 0.1)
    async with away() as (gateway, _):
        late = Late(gateway._hub.store.outdated)
        monkeypatch.setattr(gateway._hub.store, "outdated", late)
        name = gateway.say("alice", "bob", "1", expiry=2)
        await settled(gateway)
        with came(gateway) as bob:
            await heard(bob, "1", hands_over=False)
            await late.found.wait()
            hand_over(bob)
            late.go_on.set()
            await late.again.wait()
            await settled(gateway)
        codes = [each.status.code for each in gateway.statuses if each.message_id == name]
        assert codes == [Code.ACCEPTED, Code.DELIVERED]


async def test_what_a_front_end_does_not_hand_over_keeps_nothing_else_from_expiring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.LOOK_EVERY_S", 0.1)
    monkeypatch.setattr("boardtalk.store.store.MAX_OUTDATED", 1)
    async with bench(Rover, users=dict.fromkeys(("alice", "bob", "carol"), "operator")) as gateway:
        gateway.log_out("bob")
        gateway.log_out("carol")
        gateway.say("alice", "bob", "1", expiry=2)
        other = gateway.say("alice", "carol", "2", expiry=2)
        await settled(gateway)
        with came(gateway) as stuck:
            await heard(stuck, "1", hands_over=False)
            assert (await gateway.ended(other)).code is Code.EXPIRED


async def test_a_member_who_goes_away_with_a_message_to_a_group_does_not_undo_that_others_have_it() -> None:
    people = ("alice", "bob", "carol")
    async with bench(
        Rover, users=dict.fromkeys(people, "operator"), groups={"team": list(people)}
    ) as gateway:
        gateway.log_out("carol")
        with came(gateway, "carol"):
            name = gateway.say("alice", "team", "now", expiry=0)
            await gateway.hears("bob", "now")
        await settled(gateway)
        codes = [each.status.code for each in gateway.statuses if each.message_id == name]
        assert codes == [Code.ACCEPTED, Code.DELIVERED]


async def test_the_time_of_what_a_front_end_goes_away_with_does_not_begin_again() -> None:
    async with away() as (gateway, _):
        with came(gateway):
            name = gateway.say("alice", "bob", "soon", expiry=1)
            await settled(gateway)
            await asyncio.sleep(1.1)
        with came(gateway) as bob:
            gateway.say("alice", "bob", "later")
            assert bodies(await heard(bob, "later")) == ["later"]
        assert (await gateway.ended(name)).code is Code.EXPIRED


async def test_what_was_never_stored_is_not_kept_whatever_a_module_makes_of_it() -> None:
    async with bench(Keeper) as gateway:
        gateway.log_out("bob")
        for text in ("1", "2"):
            gateway.say("alice", "bob", text, flags=Flag.TRANSIENT)
        await settled(gateway)
        told = [each.body for each in gateway.inbox("alice")]
        assert told.count("bob is not online") == 2
        assert await gateway._hub.store.held("bob", 10) == []


@pytest.mark.parametrize("turns", range(4))
async def test_what_finds_no_room_when_all_that_waited_is_read_comes_all_the_same(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.hub.behind.MAX_SIZE", 1100)
    async with away("1") as (gateway, rover):
        loop, read = asyncio.get_running_loop(), gateway._hub.store.held

        def burst(wait: int) -> None:
            if wait:
                loop.call_soon(burst, wait - 1)
                return
            rover.tell("2", DONE)
            rover.tell("3", DONE)

        async def held(*arguments: Any) -> list[Waiting]:
            found = await read(*arguments)
            if not found and not bob.backlog:
                burst(turns)
            return found

        monkeypatch.setattr(gateway._hub.store, "held", held)
        with came(gateway) as bob:
            assert bodies(await heard(bob, "3")) == ["1", "2", "3"]


async def test_what_a_broker_has_already_comes_to_who_comes_himself_and_not_to_the_broker_again() -> None:
    async with away("1") as (gateway, rover):
        with came(gateway, None) as broker:
            await heard(broker, "1", hands_over=False)
            with came(gateway) as bob:
                assert bodies(await heard(bob, "1")) == ["1"]
            hand_over(broker)
            rover.tell("2")
            assert bodies(await heard(broker, "2")) == ["2"]
        assert not await gateway._hub.store.held("bob", 10)


async def test_what_passes_while_a_broker_gets_what_waited_comes_first_to_who_comes_himself() -> None:
    async with away() as (gateway, rover):
        gateway.log_out("alice")
        rover.context.send(Message(sender="rover", to="alice", body="for later"))
        with came(gateway, None) as broker:
            await heard(broker, "for later", hands_over=False)
            rover.tell("50 %", flags=Flag.TRANSIENT)
            with came(gateway) as bob:
                rover.tell("done", DONE)
                assert bodies(await heard(bob, "done")) == ["50 %", "done"]


@pytest.mark.parametrize("seed", range(3))
async def test_front_ends_and_a_broker_come_and_go_and_none_gets_anything_twice_and_nothing_is_left(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.PAGE", 3)
    monkeypatch.setattr("boardtalk.hub.handover.PATIENCE_S", 0.002)
    chance = random.Random(seed)
    got: list[list[Delivery]] = []
    stored: set[tuple[str, int]] = set()
    async with away() as (gateway, rover), asyncio.TaskGroup() as tasks:
        there: list[ExitStack] = []

        def comes(user: str | None, *, hands_over: bool) -> ExitStack:
            stack, found = ExitStack(), list[Delivery]()
            got.append(found)
            session = stack.enter_context(came(gateway, user))
            tasks.create_task(listen(gateway, session, found, hands_over=hands_over))
            return stack

        for number in range(1, 100):
            if chance.random() < 0.1:
                there.append(comes(chance.choice(("bob", None)), hands_over=chance.random() < 0.7))
            elif chance.random() < 0.1 and there:
                there.pop(chance.randrange(len(there))).close()
            stored |= say_one(gateway, rover, number, chance)
            await asyncio.sleep(chance.choice((0, 0, 0.002)))
        await settled(gateway)
        last = comes("bob", hands_over=True)
        for each in there:
            each.close()
        await gateway._until(
            lambda: stored <= {place for found in got for place in spoken(found)}, lambda: str(stored)
        )
        async with asyncio.timeout(5):
            while await gateway._hub.store.held("bob", 1):
                await asyncio.sleep(0.005)
        last.close()
    for found in got:
        assert len(spoken(found)) == len(set(spoken(found)))


@pytest.mark.parametrize("seed", range(3))
async def test_who_comes_and_goes_gets_what_each_one_said_in_order_and_all_that_is_stored_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.hub.handover.PAGE", 3)
    chance = random.Random(seed)
    found: list[Delivery] = []
    stored: set[tuple[str, int]] = set()
    numbers = itertools.count(1)
    async with away() as (gateway, rover), asyncio.TaskGroup() as tasks:
        for _ in range(40):
            with came(gateway) as bob:
                tasks.create_task(listen(gateway, bob, found))
                for number in itertools.islice(numbers, chance.randrange(12)):
                    stored |= say_one(gateway, rover, number, chance)
                    await asyncio.sleep(chance.choice((0, 0, 0.002)))
            for number in itertools.islice(numbers, chance.randrange(8)):
                stored |= say_one(gateway, rover, number, chance)
        await settled(gateway)
        with came(gateway) as bob:
            rover.tell("0", DONE)
            *rest, _ = await heard(bob, "0")
    got = [(each.message.sender, int(each.message.body)) for each in (*found, *rest)]
    for sender in ("alice", "rover"):
        order = [number for name, number in got if name == sender]
        assert order == sorted(set(order))
    assert stored <= set(got)


async def listen(gateway: Bench, session: Session, found: list[Delivery], *, hands_over: bool = True) -> None:
    """Note what comes, and hand it over, until one leaves."""
    async for batch in session.events():
        for event in batch:
            if isinstance(event, Delivery) and session in gateway._hub.sessions.of("bob"):
                found.append(event)
                if hands_over:
                    session.handed_over(event)


def spoken(found: list[Delivery]) -> list[tuple[str, int]]:
    """Who said which number to Bob."""
    return [(each.message.sender, int(each.message.body)) for each in found if each.recipient == "bob"]


def say_one(gateway: Bench, rover: Rover, number: int, chance: random.Random) -> set[tuple[str, int]]:
    """Have somebody say a number to Bob; who and which, if it is stored."""
    kind = chance.randrange(4)
    if kind == 0:
        rover.tell(f"{number}", flags=Flag.TRANSIENT)
        return set()
    if kind == 1:
        gateway.say("alice", "bob", f"{number}")
        return {("alice", number)}
    rover.tell(f"{number}", chance.choice((DONE, None)))
    return {("rover", number)}
