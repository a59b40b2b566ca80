"""A module may put anything into what it hands over; nobody else suffers from it."""

from __future__ import annotations

from typing import Any

import pytest

from boardtalk.sdk import CONSUMED, PASS, Code, Contact, Kind, Message, Module, State, Status, Verdict
from boardtalk.testing import bench

WRONG: list[dict[str, Any]] = [
    {"to": None},
    {"body": None},
    {"body": b"bytes"},
    {"body": "\ud800"},
    {"body": "x" * 100_000},
    {"sender": 5},
    {"id": "x" * 65},
    {"refid": 5},
    {"groupid": None},
    {"type": 2**70},
    {"flags": "3"},
    {"flags": -1},
    {"expiry": 10**12},
    {"aid": object()},
    {"row": "1"},
]
NAMES = [f"{key} {str(value)[:8]!a}" for each in WRONG for key, value in each.items()]


class Odd(Module):
    """Answers `odd` with something odd."""

    name = "odd"

    def on_start(self) -> None:
        self.does: Any = None
        self.error = ""

    def on_message(self, message: Message) -> Verdict:
        if message.body != "odd":
            return PASS
        try:
            return self.does(message)  # type: ignore[no-any-return]
        except ValueError as error:
            self.error = str(error)
        return CONSUMED


async def outcome(does: Any) -> tuple[str, str]:
    """What the module was told, and its last error, when it did something in `on_message`; others talk on."""
    async with bench(Odd) as gateway:
        assert isinstance(gateway.module, Odd)
        gateway.module.does = does(gateway.module)
        gateway.say("alice", "bob", "odd")
        gateway.log_out("bob")
        gateway.say("alice", "bob", "are you there?")
        gateway.log_in("bob")
        await gateway.hears("bob", "there")
        return gateway.module.error, gateway.reports[0].last_error


@pytest.mark.parametrize("wrong", WRONG, ids=NAMES)
async def test_a_replacement_that_is_no_message_is_a_failure_of_the_module(wrong: dict[str, Any]) -> None:
    _, last_error = await outcome(lambda _: lambda message: message.with_(**wrong))
    assert last_error.startswith("ValueError: ")


@pytest.mark.parametrize("wrong", WRONG, ids=NAMES)
async def test_what_is_no_message_is_not_sent_and_its_module_told(wrong: dict[str, Any]) -> None:
    def does(module: Module) -> Any:
        return lambda message: module.context.send(message.with_(**{"id": "m1", **wrong}))

    error, _ = await outcome(does)
    assert error


async def test_statuses_and_contacts_are_looked_at_too() -> None:
    odd: Any = "odd"
    for act in (
        lambda module, message: module.context.report(message, odd),
        lambda module, message: module.reply(message, "x", odd),
        lambda module, message: module.context.report(message, Status(code=odd, state=State.DONE)),
        lambda module, message: module.context.register(Contact(address="x", kind=Kind.ROBOT, commands=odd)),
    ):
        error, _ = await outcome(lambda module, act=act: lambda message: act(module, message))
        assert error


async def test_plain_words_for_numbers_and_states_are_understood() -> None:
    plain: Any = {"code": 3, "state": "done"}

    def does(module: Module) -> Any:
        def report(message: Message) -> Verdict:
            module.context.report(message, Status(**plain))
            return CONSUMED

        return report

    async with bench(Odd) as gateway:
        assert isinstance(gateway.module, Odd)
        gateway.module.does = does(gateway.module)
        assert (await gateway.ended(gateway.say("alice", "bob", "odd"))).code is Code.DONE
