"""The chain: order, verdicts, containment."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import chain as chain_module
from boardtalk.chain import Chain, Outcome, Stage
from boardtalk.sdk import CONSUMED, PASS, Message, Verdict

HELLO = Message(sender="alice", to="bob", body="hello")
Handler = Callable[[Message], Verdict | Awaitable[Verdict]]


async def through(
    *handlers: Handler, message: Message = HELLO, start: int = 0, on_fail: Any = "skip"
) -> Outcome:
    chain = Chain([Stage(f"m{index}", handler, on_fail=on_fail) for index, handler in enumerate(handlers)])
    outcome = chain.run(message, start)
    return await outcome if inspect.isawaitable(outcome) else outcome


def add(letter: str) -> Handler:
    return lambda message: message.with_(body=message.body + letter)


def add_later(letter: str) -> Handler:
    async def handler(message: Message) -> Verdict:
        await asyncio.sleep(0)
        return message.with_(body=message.body + letter)

    return handler


def explode(_: Message) -> Verdict:
    raise RuntimeError("boom")


async def test_a_message_that_all_modules_pass_comes_out_unchanged() -> None:
    assert await through(lambda _: PASS, lambda _: PASS) is HELLO


async def test_a_consumed_message_reaches_no_later_module() -> None:
    seen = []
    assert await through(lambda _: CONSUMED, lambda message: seen.append(message) or PASS) is None
    assert seen == []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=8))
async def test_modules_see_the_message_in_order_whether_inline_or_asynchronous(
    steps: list[tuple[str, bool]],
) -> None:
    handlers = [add_later(letter) if slow else add(letter) for letter, slow in steps]
    outcome = await through(*handlers)
    assert outcome is not None
    assert outcome.body == "hello" + "".join(letter for letter, _ in steps)


async def test_a_replacement_of_any_length_goes_on() -> None:
    outcome = await through(lambda message: message.with_(body="x" * 60_000), add("!"))
    assert outcome is not None
    assert len(outcome.body) == 60_001


async def test_a_message_sent_by_a_module_starts_behind_it() -> None:
    outcome = await through(add("0"), add("1"), add("2"), start=2)
    assert outcome is not None
    assert outcome.body == "hello2"


@pytest.mark.parametrize("failing", [explode, lambda _: "nonsense", lambda _: None])
async def test_a_failing_module_is_skipped_or_drops_the_message_as_configured(
    failing: Handler,
) -> None:
    skipped = await through(failing, add("!"), on_fail="skip")
    assert skipped is not None
    assert skipped.body == "hello!"
    assert await through(failing, add("!"), on_fail="drop") is None


async def test_an_asynchronous_module_that_fails_is_contained_too() -> None:
    async def later(_: Message) -> Verdict:
        await asyncio.sleep(0)
        raise RuntimeError("boom")

    outcome = await through(later, add("!"))
    assert outcome is not None
    assert outcome.body == "hello!"


async def test_a_module_that_hangs_is_cancelled_at_the_hard_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_module, "HARD_DEADLINE_S", 0.01)
    cancelled = []

    async def hang(_: Message) -> Verdict:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return PASS

    outcome = await through(hang, add("!"))
    assert outcome is not None
    assert outcome.body == "hello!"
    assert cancelled == [True]


def test_every_verdict_is_counted() -> None:
    verdicts = iter([PASS, CONSUMED, HELLO.with_(body="other"), PASS])
    stage = Stage("m", lambda _: next(verdicts))
    chain = Chain([stage])
    for _ in range(4):
        chain.run(HELLO)
    chain.run(HELLO)
    assert stage.calls == 5
    assert stage.passed == 2
    assert stage.verdicts == {"consumed": 1, "replaced": 1, "failed": 1}
    assert "StopIteration" in stage.last_error
    assert stage.busy_ns > 0


def test_a_slow_module_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 300_000_000])
    monkeypatch.setattr(chain_module, "perf_counter_ns", lambda: next(ticks))
    stage = Stage("m", lambda _: PASS)
    Chain([stage]).run(HELLO)
    assert stage.slow == 1
