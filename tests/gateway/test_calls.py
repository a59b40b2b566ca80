"""Calls: one person at a time controls a robot, as long as both sides are there."""

from __future__ import annotations

import asyncio

import pytest

from boardtalk.hub import calls as calls_module
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Call,
    CallState,
    Code,
    Contact,
    Kind,
    Module,
    ModuleError,
    Refused,
    Verdict,
)
from boardtalk.testing import Bench, bench


class Crane(Module):
    """A robot that takes calls."""

    name = "crane"

    def on_start(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.states: list[CallState] = []
        self.mood: Exception | asyncio.Event | None = None
        self.context.register(Contact(address="crane", kind=Kind.ROBOT, online=True))

    async def on_call(self, call: Call) -> Verdict:
        if call.to != "crane":
            return PASS
        if isinstance(self.mood, Exception):
            raise self.mood
        if self.mood:
            await self.mood.wait()
        return CONSUMED

    def on_set_point(self, call: Call, text: str) -> None:
        if text == "too far":
            raise ModuleError("it would fall over")
        self.heard.append((call.sender, text))

    def on_call_status(self, call: Call, state: CallState) -> None:
        self.states.append(state)


def crane(gateway: Bench) -> Crane:
    assert isinstance(gateway.module, Crane)
    return gateway.module


async def told(gateway: Bench, last: tuple[CallState, str]) -> None:
    """Wait until the last that people were told about a call is this."""
    async with asyncio.timeout(5):
        while not gateway.call_states or gateway.call_states[-1][1:] != last:
            await asyncio.sleep(0.005)


async def test_a_call_rings_is_answered_carries_set_points_and_ends() -> None:
    async with bench(Crane) as gateway:
        call = await gateway.call("alice", "crane")
        gateway.steer(call, "x=1")
        gateway.steer(call, "x=2")
        gateway.hang_up(call)
        assert await gateway.call_is(call, CallState.ENDED) == "alice hung up"
        assert crane(gateway).heard == [("alice", "x=1"), ("alice", "x=2")]
        states = [CallState.RINGING, CallState.ANSWERED, CallState.ENDED]
        assert [state for _, state, _ in gateway.call_states] == states
        assert crane(gateway).states == states


async def test_a_second_caller_learns_who_has_it_and_may_call_afterwards() -> None:
    async with bench(Crane) as gateway:
        call = await gateway.call("alice", "crane")
        with pytest.raises(Refused, match="alice controls crane just now") as refused:
            await gateway.call("bob", "crane")
        assert refused.value.code is Code.BUSY
        gateway.hang_up(call)
        assert (await gateway.call("bob", "crane")).sender == "bob"


async def test_while_it_rings_it_is_busy_too() -> None:
    async with bench(Crane) as gateway:
        crane(gateway).mood = decided = asyncio.Event()
        ringing = asyncio.create_task(gateway.call("alice", "crane"))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="alice controls crane"):
            await gateway.call("bob", "crane")
        decided.set()
        assert (await ringing).sender == "alice"


@pytest.mark.parametrize(("code", "state"), [(Code.DENIED, CallState.REFUSED), (Code.BUSY, CallState.BUSY)])
async def test_a_module_may_refuse_and_says_why(code: Code, state: CallState) -> None:
    async with bench(Crane) as gateway:
        crane(gateway).mood = Refused(code, "not today")
        with pytest.raises(Refused, match="not today"):
            await gateway.call("alice", "crane")
        await told(gateway, (state, "not today"))
        crane(gateway).mood = None
        await gateway.call("alice", "crane")


@pytest.mark.parametrize(
    ("on_fail", "code"), [("skip", Code.OFFLINE), ("drop", Code.FAILED)], ids=["skipped", "not skipped"]
)
async def test_a_module_that_fails_over_a_call_hurts_nobody(on_fail: str, code: Code) -> None:
    async with bench(Crane, f"on_fail = {on_fail}") as gateway:
        crane(gateway).mood = RuntimeError("boom")
        with pytest.raises(Refused) as caught:
            await gateway.call("alice", "crane")
        assert caught.value.code is code
        [report] = gateway.reports
        assert (report.failed, report.last_error) == (1, "on_call: RuntimeError: boom")
        crane(gateway).mood = None
        await gateway.call("alice", "crane")


async def test_nobody_answers_for_a_person_or_for_nobody() -> None:
    async with bench(Crane) as gateway:
        with pytest.raises(Refused, match="bob takes no calls"):
            await gateway.call("alice", "bob")
        with pytest.raises(Refused, match="did you mean crane"):
            await gateway.call("alice", "crain")


async def test_a_module_that_does_not_decide_has_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "RING_S", 0.05)
    async with bench(Crane) as gateway:
        crane(gateway).mood = asyncio.Event()
        with pytest.raises(Refused, match="nobody answered within"):
            await gateway.call("alice", "crane")
        crane(gateway).mood = None
        await gateway.call("alice", "crane")


async def test_a_caller_who_falls_silent_has_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "SILENCE_S", 0.3)
    async with bench(Crane) as gateway:
        call = await gateway.call("alice", "crane")
        for _ in range(5):
            await asyncio.sleep(0.1)
            gateway.steer(call, "x=1")
        assert len(crane(gateway).heard) == 5
        assert await gateway.call_is(call, CallState.ENDED) == "alice fell silent"


async def test_a_set_point_that_can_t_be_carried_out_ends_the_call() -> None:
    async with bench(Crane) as gateway:
        call = await gateway.call("alice", "crane")
        gateway.steer(call, "too far")
        assert await gateway.call_is(call, CallState.ENDED) == "it would fall over"
        gateway.steer(call, "x=1")
        assert crane(gateway).heard == []


async def test_the_module_may_hang_up() -> None:
    async with bench(Crane) as gateway:
        call = await gateway.call("alice", "crane")
        gateway.module.context.end_call(call.id, "the crane is tired")
        assert await gateway.call_is(call, CallState.ENDED) == "the crane is tired"


async def test_who_knows_the_id_of_somebody_s_call_can_t_steer_it() -> None:
    async with bench(Crane) as gateway, bench(Crane) as other:
        call = await gateway.call("alice", "crane")
        gateway._calls.set_point(other, call.id, "x=1")
        gateway._calls.hang_up(other, call.id)
        gateway.steer(call, "x=2")
        assert crane(gateway).heard == [("alice", "x=2")]


async def test_all_calls_end_with_the_gateway() -> None:
    async with bench(Crane) as gateway:
        await gateway.call("alice", "crane")
        module = crane(gateway)
    assert module.states[-1] is CallState.ENDED
