"""Modules that misbehave hurt nobody else: messages that do not pass them go on as before."""

from __future__ import annotations

import asyncio
import time

import pytest

from boardtalk.chain.health import Condition
from boardtalk.sdk import CONSUMED, PASS, Message, Module, Refused, State, User, Verdict
from boardtalk.testing import Bench, bench


class Villain(Module):
    """Misbehaves when it is talked to by bob; alice's messages it lets go on."""

    name = "villain"

    def on_message(self, message: Message) -> Verdict:
        return self.misbehave(message) if message.sender == "bob" else PASS

    def misbehave(self, message: Message) -> Verdict:
        raise NotImplementedError


class Raiser(Villain):
    def misbehave(self, message: Message) -> Verdict:
        raise RuntimeError("boom")


class Flooder(Villain):
    def misbehave(self, message: Message) -> Verdict:
        self.refused = 0
        for number in range(20_000):
            try:
                self.context.send(Message(sender="bob", to="alice", body=f"flood {number}"))
            except Refused:
                self.refused += 1
        return CONSUMED


class Hanger(Module):
    name = "hanger"

    async def on_message(self, message: Message) -> Verdict:
        if message.sender == "bob":
            await asyncio.Event().wait()
        return PASS


class Forgetful(Module):
    """Fails whenever bob comes or goes."""

    name = "forgetful"

    async def on_login(self, user: User) -> None:
        if user.address == "bob":
            raise LookupError("who?")


class Dawdler(Villain):
    """Takes longer than it may, with nobody else getting a turn."""

    def misbehave(self, message: Message) -> Verdict:
        time.sleep(1.1)
        return PASS


async def talks(gateway: Bench) -> None:
    """Alice and carol understand each other."""
    ended = await gateway.ended(gateway.say("alice", "carol", "hello"))
    assert ended.state is State.DONE


PEOPLE = {"alice": "operator", "bob": "operator", "carol": "viewer"}


async def test_c15_one_that_raises_is_skipped_then_left_alone() -> None:
    async with bench(Raiser, users=PEOPLE) as gateway:
        for _ in range(5):
            assert (await gateway.ended(gateway.say("bob", "carol", "x"))).state is State.DONE
        await talks(gateway)
        assert len(gateway.inbox("carol")) == 6


async def test_c15_one_that_fails_elsewhere_is_counted_and_goes_on_with_its_work_on_messages() -> None:
    async with bench(Forgetful, "on_fail = drop", users=PEOPLE) as gateway:
        for _ in range(3):
            gateway.log_out("bob")
            gateway.log_in("bob")
        await talks(gateway)
        [report] = gateway.reports
        assert report.condition is Condition.RUNNING
        assert (report.failed, report.passed) == (6, 1)
        assert report.last_error == "on_login: LookupError: who?"


async def test_c15_one_that_hangs_holds_up_only_the_conversation_that_it_hangs_on() -> None:
    async with bench(Hanger, users=PEOPLE) as gateway:
        hung = gateway.say("bob", "carol", "x")
        await talks(gateway)
        assert not [
            each for each in gateway.statuses if each.message_id == hung and each.status.state.terminal
        ]
        assert (await gateway.ended(hung)).state is State.DONE  # without the module, after its second


async def test_c15_one_that_floods_is_slowed_down_and_loses_nothing_that_was_taken() -> None:
    async with bench(Flooder, users=PEOPLE) as gateway:
        gateway.say("bob", "carol", "x")
        await talks(gateway)
        assert isinstance(gateway.module, Flooder)
        taken = 20_000 - gateway.module.refused
        assert taken < 1_200
        await gateway.hears("alice", "flood 150$")
        numbers = [int(each.body.split()[1]) for each in gateway.inbox("alice")]
        assert numbers == list(range(len(numbers)))


async def test_c15_one_that_lets_nobody_else_have_a_turn_is_left_alone_after_three_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench(Dawdler, users=PEOPLE) as gateway:
        for _ in range(3):
            await gateway.ended(gateway.say("bob", "carol", "x"))
        began = time.monotonic()
        await gateway.ended(gateway.say("bob", "carol", "x"))
        await talks(gateway)
        assert time.monotonic() - began < 1.0, "it was not asked again"
