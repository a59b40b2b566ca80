"""A message that a module replaces: seen as it changes, kept as it ended, and by modules only."""

from __future__ import annotations

import pytest

from boardtalk.sdk import CONSUMED, PASS, Code, Flag, Message, Module, Refused, State, Status, Verdict
from boardtalk.testing import Bench, bench

PASSING = Flag.REPLACES | Flag.TRANSIENT
DONE = Status(code=Code.DONE, state=State.DONE)


class Counter(Module):
    """Counts to what it is told, in one message."""

    name = "counter"

    def on_message(self, message: Message) -> Verdict:
        if not message.body.startswith("count"):
            return PASS
        for number in range(int(message.body.removeprefix("count "))):
            edit = {"refid": "number", "flags": PASSING} if number else {"id": "number"}
            self.context.send(Message(sender="alice", to="bob", body=f"{number}", **edit))
        final = Message(sender="alice", to="bob", body="over", refid="number", flags=Flag.REPLACES)
        self.context.send(final, DONE)
        return CONSUMED


async def history(gateway: Bench, user: str) -> list[str]:
    """What one finds who looks back, but for what was said to the module."""
    await gateway._hub.store._all_written()
    found = await gateway._hub.store.history(user)
    return [entry.body for entry in found if not entry.body.startswith("count")]


async def test_changes_come_in_order_and_the_history_has_one_message_with_the_last_text() -> None:
    async with bench(Counter) as gateway:
        gateway.say("alice", "bob", "count 3")
        await gateway.hears("bob", "over")
        first, *changes = gateway.inbox("bob")
        assert [first.body, *(each.body for each in changes)] == ["0", "1", "2", "over"]
        assert {each.refid for each in changes} == {first.id}
        assert [each.flags for each in changes] == [PASSING, PASSING, Flag.REPLACES]
        assert await history(gateway, "bob") == ["over"]


async def test_who_is_away_gets_the_message_and_its_end_but_not_what_passed() -> None:
    async with bench(Counter) as gateway:
        gateway.log_out("bob")
        await gateway.ended(gateway.say("alice", "alice", "and now?"))
        gateway.say("alice", "bob", "count 3")
        await gateway.ended(gateway.say("alice", "alice", "and now?"))
        gateway.log_in("bob")
        await gateway.hears("bob", "over")
        assert [each.body for each in gateway.inbox("bob")] == ["0", "over"]
        assert await history(gateway, "bob") == ["over"]


async def test_nobody_replaces_what_another_one_has_said_nor_do_people() -> None:
    async with bench(Counter) as gateway:
        gateway.say("bob", "alice", "mine", id="number")
        await gateway.hears("alice", "mine")
        gateway.say("alice", "bob", "count 1")
        await gateway.hears("bob", "over")
        assert await history(gateway, "bob") == ["mine", "over"]
        with pytest.raises(Refused, match="only modules replace"):
            gateway.say("bob", "alice", "yours", refid="number", flags=Flag.REPLACES)
