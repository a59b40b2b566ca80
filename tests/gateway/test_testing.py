"""The bench for tests of modules does what its documentation says."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from boardtalk import testing
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Code,
    ConfigError,
    Message,
    Module,
    ModuleError,
    Refused,
    Settings,
    State,
    Verdict,
)
from boardtalk.testing import bench


class Parrot(Module):
    name = "parrot"

    class Config(Settings):
        word: str = "hello"
        rude: tuple[str, ...] = ()

    def on_start(self) -> None:
        if self.config.word == "bad":
            raise ModuleError("bad word")

    def on_config(self, config: Any) -> None:
        pass

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        if message.body in self.config.rude:
            raise Refused(Code.DENIED, "not passed on")
        if message.body == "echo":
            self.reply(message, self.config.word)
            return CONSUMED
        return PASS


async def test_people_talk_through_the_module() -> None:
    async with bench(Parrot, "word = good day\nrude = fool, knave") as gateway:
        gateway.say("alice", "bob", "hi")
        assert (await gateway.hears("bob", "hi")).sender == "alice"
        gateway.say("alice", "bob", "echo")
        assert (await gateway.hears("alice", "good day")).sender == "bob"
        refused = await gateway.ended(gateway.say("alice", "bob", "fool"))
        assert (refused.state, refused.detail) == (State.REJECTED, "not passed on")
        assert [message.body for message in gateway.inbox("bob")] == ["hi"]


async def test_a_test_that_fails_says_what_came_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "WAIT_S", 1.0)
    async with bench(Parrot) as gateway:
        gateway.say("alice", "bob", "good night")
        with pytest.raises(AssertionError, match=r"bob hears 'good day'; he heard \['good night'\]"):
            await gateway.hears("bob", "good day")


async def test_robots_note_what_they_are_told() -> None:
    async with bench(Parrot, robots={"rover": ()}) as gateway:
        ended = await gateway.ended(gateway.say("alice", "rover", "forward 20"))
        assert ended.state is State.DONE
        assert (await gateway.robot_told()).body == "forward 20"


async def test_settings_change_as_by_a_reload() -> None:
    async with bench(Parrot) as gateway:
        await gateway.configure("word = new")
        gateway.say("alice", "bob", "echo")
        await gateway.hears("alice", "new")


async def test_wrong_settings_and_failed_starts_are_errors() -> None:
    with pytest.raises(ConfigError, match="unknown key 'wrod'; did you mean 'word'"):
        async with bench(Parrot, "wrod = x"):
            pass
    with pytest.raises(ModuleError, match="bad word"):
        async with bench(Parrot, "word = bad"):
            pass


async def test_what_does_not_come_is_a_failure_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boardtalk.testing.WAIT_S", 0.05)
    async with bench(Parrot) as gateway:
        with pytest.raises(AssertionError, match="bob hears 'never'"):
            await gateway.hears("bob", "never")
