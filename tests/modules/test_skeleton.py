"""The skeleton uses every callback and helper once, and does nothing that surprises."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from boardtalk.modules import skeleton
from boardtalk.modules.skeleton import Skeleton
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    CallState,
    Code,
    ConfigError,
    Context,
    Message,
    Module,
    ModuleError,
    Refused,
    State,
)
from boardtalk.testing import bench


def test_every_callback_and_every_helper_is_in_it() -> None:
    source = Path(inspect.getfile(skeleton)).read_text()
    callbacks = {name for name in vars(Module) if name.startswith("on_")}
    helpers = {name for name in vars(Context) if not name.startswith("_")} - {"blocks"}
    helpers |= {"notes", "folder"}
    assert {name for name in callbacks if f"def {name}(" not in source} == set()
    assert {name for name in helpers if f"context.{name}" not in source} == set()


async def test_what_is_not_for_it_goes_on() -> None:
    async with bench(Skeleton, robots={"rover": ()}) as gateway:
        gateway.say("alice", "bob", "count")
        await gateway.hears("bob", "count")
        gateway.say("alice", "rover", "forward 20")
        assert (await gateway.robot_told()).body == "forward 20"


async def test_it_answers_and_says_that_it_is_done() -> None:
    async with bench(Skeleton) as gateway:
        asked = gateway.say("alice", "skeleton", "hello")
        answer = await gateway.hears("alice", "You are operator, with 2 others here")
        assert (answer.sender, answer.refid) == ("skeleton", asked)
        assert (await gateway.ended(asked)).state is State.DONE


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("count", "1 times"),
        ("primes 12", "^2, 3, 5, 7, 11$"),
        ("later", "here it is"),
        ("where", "modules/skeleton"),
    ],
)
async def test_each_word_does_what_it_says(asked: str, answer: str) -> None:
    async with bench(Skeleton) as gateway:
        gateway.say("alice", "skeleton", asked)
        await gateway.hears("alice", answer)


async def test_it_talks_to_others() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with bench(Skeleton, f"door = tcp://127.0.0.1:{port}") as gateway:
            gateway.say("alice", "skeleton", "knock")
            await gateway.hears("alice", "HELLO")


async def test_answers_come_in_the_order_of_the_questions_also_after_nonsense() -> None:
    async with bench(Skeleton) as gateway:
        asked = [
            gateway.say("alice", "skeleton", each) for each in ("primes 9", "primes " + "9" * 5000, "count")
        ]
        ended = [(await gateway.ended(each)).state for each in asked]
        assert ended == [State.DONE, State.FAILED, State.DONE]
        assert [each.refid for each in gateway.inbox("alice")] == asked


async def test_who_was_not_answered_before_a_restart_is_told_so() -> None:
    async with bench(Skeleton) as gateway:
        for to, verdict in (("bob", PASS), ("skeleton", CONSUMED)):
            asked = Message(sender="alice", to=to, body="count", id=f"to {to}")
            assert gateway.module.on_unfinished(asked) is verdict
        assert (await gateway.ended("to skeleton")).state is State.FAILED
        await gateway.hears("alice", "ask me again")


async def test_who_logs_in_is_greeted_and_what_became_of_the_greeting_is_known() -> None:
    with capture_logs() as told:
        async with bench(Skeleton, "greeting = good day\nverbosity = 2") as gateway:
            gateway.log_out("bob")
            gateway.log_in("bob")
            await gateway.hears("bob", "good day")
    assert any(each["event"] == "status" and each["of"].startswith("hello-bob") for each in told)


async def test_words_are_completed() -> None:
    async with bench(Skeleton) as gateway:
        assert [each.text for each in gateway.module.on_complete("skeleton", "co")] == ["count"]


async def test_a_server_that_is_not_there_is_told_in_words() -> None:
    async with bench(Skeleton, "url = http://127.0.0.1:1/") as gateway:
        gateway.say("alice", "skeleton", "fetch")
        await gateway.hears("alice", "that did not work: http://127.0.0.1:1/")


async def test_settings_change_how_it_answers() -> None:
    async with bench(Skeleton, "mood = gruff\nrefused_words = please") as gateway:
        gateway.say("alice", "skeleton", "count")
        await gateway.hears("alice", "1 TIMES")
        assert (await gateway.ended(gateway.say("alice", "skeleton", "please"))).code is Code.DENIED
        await gateway.configure("mood = kind")
        gateway.say("alice", "skeleton", "count")
        await gateway.hears("alice", "2 times")


async def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="limit = '1': expected a whole number from 2"):
        async with bench(Skeleton, "limit = 1"):
            pass
    for settings, reason in (
        ("address = Not One", "is not an address"),
        ("url = ftp://x", "it begins with http"),
    ):
        with pytest.raises(ModuleError, match=reason):
            async with bench(Skeleton, settings):
                pass


async def test_it_takes_a_call_of_one_at_a_time_and_ends_it() -> None:
    async with bench(Skeleton, users={"alice": "operator", "bob": "viewer"}) as gateway:
        call = await gateway.call("alice", "skeleton")
        gateway.steer(call, "enough")
        assert await gateway.call_is(call, CallState.ENDED) == "enough"
        with pytest.raises(Refused, match="you may only talk to me"):
            await gateway.call("bob", "skeleton")
