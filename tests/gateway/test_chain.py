"""The chain: order, verdicts, containment."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.chain import chain as chain_module
from boardtalk.chain import health as health_module
from boardtalk.chain.chain import Chain, Outcome, Passage, Stage
from boardtalk.sdk import CONSUMED, PASS, Code, Message, Refused, Verdict

HELLO = Message(sender="alice", to="bob", body="hello")
Handler = Callable[[Message], Verdict | Awaitable[Verdict]]


async def through(
    *handlers: Handler, message: Message = HELLO, start: int = 0, on_fail: Any = "skip"
) -> Outcome:
    chain = Chain([Stage(f"m{index}", handler, on_fail=on_fail) for index, handler in enumerate(handlers)])
    outcome = chain.run(message, start)
    return await outcome if inspect.isawaitable(outcome) else outcome


def body(outcome: Outcome) -> str:
    assert isinstance(outcome, Message)
    return outcome.body


def add_stage(letter: str) -> Stage:
    return Stage(letter, add(letter))


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
    assert body(await through(*handlers)) == "hello" + "".join(letter for letter, _ in steps)


async def test_a_replacement_of_any_length_goes_on() -> None:
    outcome = await through(lambda message: message.with_(body="x" * 60_000), add("!"))
    assert len(body(outcome)) == 60_001


async def test_a_message_sent_by_a_module_starts_behind_it() -> None:
    assert body(await through(add("0"), add("1"), add("2"), start=2)) == "hello2"


@pytest.mark.parametrize("failing", [explode, lambda _: "nonsense", lambda _: None])
async def test_c16_a_failing_module_is_skipped_or_drops_the_message_as_configured(
    failing: Handler,
) -> None:
    assert body(await through(failing, add("!"), on_fail="skip")) == "hello!"
    dropped = await through(failing, add("!"), on_fail="drop")
    assert isinstance(dropped, Refused)
    assert "m0 failed" in dropped.reason


async def test_an_asynchronous_module_that_fails_is_contained_too() -> None:
    async def later(_: Message) -> Verdict:
        await asyncio.sleep(0)
        raise RuntimeError("boom")

    assert body(await through(later, add("!"))) == "hello!"


async def test_c15_a_module_that_hangs_is_cancelled_at_the_hard_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_module, "HARD_DEADLINE_NS", 10_000_000)
    cancelled = []

    async def hang(_: Message) -> Verdict:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return PASS

    assert body(await through(hang, add("!"))) == "hello!"
    assert cancelled == [True]


def test_every_verdict_is_counted() -> None:
    verdicts = iter([PASS, CONSUMED, HELLO.with_(body="other"), PASS])
    stage = Stage("m", lambda _: next(verdicts))
    chain = Chain([stage])
    for _ in range(4):
        chain.run(HELLO)
    chain.run(HELLO)
    health = stage.health
    assert health.calls == 5
    assert health.passed == 2
    assert health.verdicts == {"consumed": 1, "replaced": 1, "failed": 1}
    assert "StopIteration" in health.last_error
    assert 0 < health.percentile_ms(50) <= health.percentile_ms(99)


def test_c15_a_slow_module_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 300_000_000])
    monkeypatch.setattr(chain_module, "perf_counter_ns", lambda: next(ticks))
    stage = Stage("m", lambda _: PASS)
    Chain([stage]).run(HELLO)
    assert stage.health.slow == 1


def exploding(calls: list[int]) -> Handler:
    def handler(_: Message) -> Verdict:
        calls.append(len(calls))
        raise RuntimeError("boom")

    return handler


def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The one element is the time that modules are given rest by."""
    now = [100.0]
    monkeypatch.setattr(chain_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(health_module, "monotonic", lambda: now[0])
    return now


def test_c15_a_module_that_fails_three_times_in_five_seconds_is_left_alone_for_a_second_and_then_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, calls = clock(monkeypatch), list[int]()
    stage = Stage("m", exploding(calls))
    chain = Chain([stage])
    for _ in range(10):
        chain.run(HELLO)
    assert len(calls) == 3
    assert stage.rests
    rests = []
    for _ in range(9):
        until = stage.health.breaker.until
        now[0] = until - 0.01
        chain.run(HELLO)
        rests.append(until - now[0])
        now[0] = until
        chain.run(HELLO)
        rests[-1] = stage.health.breaker.until - until
    assert len(calls) == 3 + 9  # one trial each time
    assert rests == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert stage.health.verdicts["rested"] == 7 + 9


def test_c15_three_failures_in_more_than_five_seconds_are_no_reason_to_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, calls = clock(monkeypatch), list[int]()
    stage = Stage("m", exploding(calls))
    for _ in range(20):
        Chain([stage]).run(HELLO)
        now[0] += 2.6
    assert len(calls) == 20
    assert not stage.rests


def test_c16_nothing_goes_past_a_module_that_rests_and_must_not_be_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock(monkeypatch)
    chain = Chain([Stage("filter", explode, on_fail="drop")])
    outcomes = [chain.run(HELLO) for _ in range(5)]
    assert all(isinstance(outcome, Refused) for outcome in outcomes)


def test_c15_a_module_that_recovered_is_in_service_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now, broken = clock(monkeypatch), [True]
    stage = Stage("m", lambda message: explode(message) if broken[0] else CONSUMED)
    chain = Chain([stage])
    for _ in range(3):
        chain.run(HELLO)
    broken[0] = False
    assert chain.run(HELLO) is HELLO
    now[0] += 1
    assert chain.run(HELLO) is None
    assert not stage.rests


def test_a_refusal_is_no_failure() -> None:
    def refuse(_: Message) -> Verdict:
        raise Refused(Code.DENIED, "not this word")

    stage = Stage("m", refuse)
    outcomes = [Chain([stage]).run(HELLO) for _ in range(5)]
    assert all(isinstance(outcome, Refused) and outcome.reason == "not this word" for outcome in outcomes)
    assert stage.health.verdicts == {"refused": 5}


async def test_messages_wait_while_a_module_is_replaced_and_meet_the_new_one() -> None:
    stage = Stage("m", add("old"))
    chain = Chain([add_stage("<"), stage, add_stage(">")])
    stage.hold()
    waiting = [asyncio.ensure_future(cast("Any", chain.run(HELLO))) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    await stage.idle()
    stage.take(add("new"), "skip")
    assert [body(await task) for task in waiting] == ["hello<new>"] * 3
    assert stage.health.calls == 3


async def test_a_module_is_idle_once_it_has_answered() -> None:
    go_on = asyncio.Event()

    async def later(_: Message) -> Verdict:
        await go_on.wait()
        return CONSUMED

    stage = Stage("m", later)
    answer = asyncio.ensure_future(cast("Any", Chain([stage]).run(HELLO)))
    idle = asyncio.create_task(stage.idle())
    await asyncio.sleep(0.01)
    assert not idle.done()
    go_on.set()
    assert await answer is None
    await asyncio.wait_for(idle, 1)


async def test_a_message_on_its_way_passes_by_a_module_that_has_left() -> None:
    go_on = asyncio.Event()

    async def later(message: Message) -> Verdict:
        await go_on.wait()
        return PASS

    last = Stage("last", explode)
    answer = asyncio.ensure_future(cast("Any", Chain([Stage("m", later), last]).run(HELLO)))
    await asyncio.sleep(0)
    last.leave()
    go_on.set()
    assert await answer is HELLO


# The trail ------------------------------------------------------------------------------------


async def trail_of(*stages: Stage) -> list[tuple[str, str]]:
    passages: list[Passage] = []
    outcome = Chain(stages).run(HELLO, 0, passages)
    if inspect.isawaitable(outcome):
        await outcome
    times = [at for each in passages for at in (each.began_ns, each.ended_ns)]
    assert times == sorted(times)
    return [(each.stage, each.verdict) for each in passages]


async def test_a_trail_tells_what_each_module_did() -> None:
    async def later(_: Message) -> Verdict:
        await asyncio.sleep(0.001)
        return PASS

    trail = await trail_of(
        Stage("a", lambda _: PASS),
        Stage("b", later),
        add_stage("c"),
        Stage("d", add_later("d")),
        Stage("e", explode),
        Stage("f", lambda _: CONSUMED),
        Stage("g", lambda _: PASS),
    )
    assert trail == [
        ("a", "passed"),
        ("b", "passed"),
        ("c", "replaced"),
        ("d", "replaced"),
        ("e", "failed"),
        ("f", "consumed"),
    ]


async def test_a_trail_ends_where_a_module_refuses() -> None:
    def refuse(_: Message) -> Verdict:
        raise Refused(Code.DENIED, "no")

    assert await trail_of(Stage("a", refuse), Stage("b", lambda _: PASS)) == [("a", "refused")]


async def test_a_trail_tells_that_a_module_rests() -> None:
    fallen = Stage("a", lambda _: PASS)
    fallen.fail()
    assert await trail_of(fallen, Stage("b", lambda _: PASS)) == [("a", "skipped"), ("b", "passed")]


async def test_a_trail_has_a_module_once_for_which_the_message_waited() -> None:
    held = Stage("a", lambda _: PASS)
    held.hold()
    passages: list[Passage] = []
    outcome = Chain([held]).run(HELLO, 0, passages)
    held.take(add("!"), "skip")
    assert body(await cast("Any", outcome)) == "hello!"
    assert [(each.stage, each.verdict) for each in passages] == [("a", "replaced")]
