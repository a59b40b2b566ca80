"""Modules start in the order of the file and end in reverse; each change touches only what it is about."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from boardtalk import conf
from boardtalk.chain.chain import Chain
from boardtalk.chain.health import Condition
from boardtalk.conf.changes import What
from boardtalk.loader import Instance, Runner, Source, runner
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Message,
    Module,
    ModuleError,
    Refused,
    Settings,
    Status,
    Verdict,
)
from boardtalk.sdk.tasks import cancel_and_wait

HELLO = Message(sender="alice", to="bob", body="hello")


class Diary(Module):
    """Notes what is done with it."""

    name = "diary"
    said: ClassVar[list[str]] = []

    class Config(Settings):
        word: str = ""

    def on_start(self) -> None:
        if self.config.word == "bad":
            raise OSError("not this word")
        self.say("start")

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        return message.with_(body=message.body + self.config.word)

    async def on_cleanup(self) -> None:
        self.say("cleanup")

    def say(self, what: str) -> None:
        self.said.append(f"{what} {self.context.instance}")


class Pliable(Diary):
    """Takes new settings as it is."""

    name = "pliable"

    def on_config(self, config: Any) -> None:
        if config.word == "bad":
            raise ValueError("not this word")
        self.say(f"{self.config.word} → {config.word}")


class Lame(Module):
    name = "lame"

    async def on_start(self) -> None:
        raise OSError("no leg to stand on")


class Sloppy(Diary):
    name = "sloppy"

    async def on_cleanup(self) -> None:
        await super().on_cleanup()
        raise RuntimeError("the broom is broken")


class Slow(Diary):
    name = "slow"

    async def on_cleanup(self) -> None:
        await asyncio.Event().wait()


class Sleeper(Diary):
    name = "sleeper"

    async def on_start(self) -> None:
        await asyncio.Event().wait()


class Stubborn(Diary):
    """Starts with its first word only."""

    name = "stubborn"

    async def on_start(self) -> None:
        if self.config.word:
            await asyncio.Event().wait()
        self.say("start")


class Thinker(Diary):
    """Answers when it is let."""

    name = "thinker"
    go_on: ClassVar[asyncio.Event]

    async def on_message(self, message: Message) -> Verdict:
        await self.go_on.wait()
        self.say("answer")
        return PASS


class Quitter(Diary):
    """Calls `sys.exit` where its word says."""

    name = "quitter"

    def on_start(self) -> None:
        self.quit_at("start")
        self.say("start")

    def on_config(self, config: Any) -> None:
        if config.word == "config":
            sys.exit(3)

    async def on_cleanup(self) -> None:
        self.say("cleanup")
        self.quit_at("cleanup")

    def quit_at(self, place: str) -> None:
        if self.config.word == place:
            sys.exit(3)


class Debtor(Diary):
    """Owes ends, and knows of one what became of it."""

    name = "debtor"
    kept = HELLO.with_(id="kept")
    lost = HELLO.with_(id="lost")
    worse = HELLO.with_(id="worse")

    def unfinished(self) -> list[Message]:
        return [self.kept, self.worse, self.lost]

    def on_unfinished(self, message: Message) -> Verdict:
        if message is self.worse:
            raise OSError("no idea")
        return CONSUMED if message is self.kept else PASS


class Boards(Diary):
    name = "boards"
    blocks = {"thing": Diary.Config}  # noqa: RUF012 - as in any module


MODULES = {
    each.name: each
    for each in (Diary, Pliable, Lame, Sloppy, Slow, Sleeper, Stubborn, Thinker, Quitter, Boards, Debtor)
}


@pytest.fixture(autouse=True)
def said() -> list[str]:
    Diary.said.clear()
    return Diary.said


def instances(text: str) -> list[Instance]:
    document = conf.parse(text, "gateway.conf")
    things = {block.name: conf.settings(block, Diary.Config) for block in document.of("thing")}
    found: list[Instance] = []
    for block in document.of("module"):
        options, settings = conf.module_settings(block, MODULES[block.name].Config)
        number = 1 + sum(each.module is MODULES[block.name] for each in found)
        name = block.name if number == 1 else f"{block.name}#{number}"
        blocks = {"thing": things} if block.name == "boards" else {}
        source = Source(block.name, "test", "test")
        found.append(Instance(name, MODULES[block.name], settings, options, blocks, source))
    return found


@asynccontextmanager
async def context(instance: Instance) -> AsyncIterator[Any]:
    def report(message: Message, status: Status) -> None:
        Diary.said.append(f"{message.id}: {status.state}, {status.detail}")

    yield SimpleNamespace(instance=instance.name, report=report)


def fresh() -> Runner:
    return Runner(context)


async def running(text: str) -> Runner:
    runner = fresh()
    await runner.start(instances(text))
    return runner


async def through(runner: Runner) -> str:
    outcome = Chain(runner.stages).run(HELLO)
    if not isinstance(outcome, Message):
        outcome = await cast("Any", outcome)
    assert isinstance(outcome, Message)
    return outcome.body


async def change(runner: Runner, text: str) -> dict[str, str]:
    changes = await runner.apply(instances(text))
    await runner.retire()
    return {change.name: change.what for change in changes}


# Start and end --------------------------------------------------------------------------------


async def test_modules_start_in_order_and_are_cleaned_up_in_reverse(said: list[str]) -> None:
    async with fresh() as runner:
        await runner.start(instances("module diary { }\nmodule sloppy { }\nmodule diary { }"))
        assert said == ["start diary", "start sloppy", "start diary#2"]
        assert list(runner.modules) == ["diary", "sloppy", "diary#2"]
        said.clear()
    assert said == ["cleanup diary#2", "cleanup sloppy", "cleanup diary"]


async def test_a_module_that_never_finishes_its_clean_up_does_not_hold_up_the_others(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CLEANUP_S", 0.05)
    async with await running("module diary { }\nmodule slow { }"):
        said.clear()
    assert said == ["cleanup diary"]


async def test_c16_the_chain_goes_on_without_a_module_that_does_not_start_and_its_reason_is_kept() -> None:
    async with await running(
        "module diary { word = a }\nmodule lame { }\nmodule diary { word = b }"
    ) as runner:
        assert await through(runner) == "helloab"
        reports = {report.name: report for report in runner.reports()}
    assert reports["lame"].condition is Condition.FAILED
    assert reports["lame"].last_error == "no leg to stand on"
    assert (reports["diary#2"].condition, reports["diary#2"].position) == (Condition.RUNNING, 3)


async def test_c16_nothing_passes_a_module_that_must_not_be_skipped_and_did_not_start() -> None:
    async with await running("module diary { }\nmodule lame { on_fail = drop }") as runner:
        outcome = Chain(runner.stages).run(HELLO)
        assert isinstance(outcome, Refused)
        assert "lame failed" in outcome.reason


async def test_c15_a_module_that_does_not_come_to_an_end_of_its_start_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "START_S", 0.05)
    async with await running("module sleeper { }\nmodule diary { }") as found:
        assert list(found.modules) == ["diary"]
        assert found.reports()[0].last_error == "not within 0.05 s"


async def test_a_module_that_calls_sys_exit_as_it_starts_or_ends_ends_nothing_else(said: list[str]) -> None:
    text = "module diary { }\nmodule quitter { word = start }\nmodule quitter { word = cleanup }"
    async with await running(text) as runner:
        assert list(runner.modules) == ["diary", "quitter#2"]
        assert runner.reports()[1].last_error == "it called sys.exit(3)"
        said.clear()
    assert said == ["cleanup quitter#2", "cleanup diary"]


async def test_without_a_required_module_nothing_runs_and_what_had_started_is_cleaned_up(
    said: list[str],
) -> None:
    with pytest.raises(ModuleError, match="required module 'lame' did not start: no leg to stand on"):
        async with fresh() as runner:
            await runner.start(instances("module diary { }\nmodule lame { required = yes }"))
    assert said == ["start diary", "cleanup diary"]


# Changes --------------------------------------------------------------------------------------


async def test_what_stays_the_same_is_left_alone(said: list[str]) -> None:
    text = "module diary { word = a }\nmodule pliable { word = b }"
    async with await running(text) as runner:
        said.clear()
        assert await change(runner, text) == {}
        assert said == []


async def test_a_module_that_can_takes_new_settings_in_place(said: list[str]) -> None:
    async with await running("module pliable { word = a }") as runner:
        said.clear()
        assert await change(runner, "module pliable { word = b }") == {"pliable": What.RECONFIGURED}
        assert said == ["a → b pliable"]
        assert await through(runner) == "hellob"


async def test_a_module_that_can_t_is_started_anew(said: list[str]) -> None:
    async with await running("module diary { word = a }") as runner:
        said.clear()
        assert await change(runner, "module diary { word = b }") == {"diary": What.RESTARTED}
        assert said == ["cleanup diary", "start diary"]
        assert await through(runner) == "hellob"


@pytest.mark.parametrize(("word", "what"), [("b", What.RESTARTED), ("bad", What.KEPT)])
async def test_c05_what_a_replaced_instance_has_under_way_comes_to_an_end(
    word: str, what: What, said: list[str]
) -> None:
    async with await running("module debtor { word = a }") as runner:
        said.clear()
        assert await change(runner, f"module debtor {{ word = {word} }}") == {"debtor": what}
        unknown = "unknown, its module was replaced before it was answered"
        assert said[-2:] == [f"worse: {unknown}", f"lost: {unknown}"]


@pytest.mark.parametrize("name", ["diary", "pliable"])
async def test_bad_new_settings_never_replace_good_ones(name: str) -> None:
    async with await running(f"module {name} {{ word = a }}") as runner:
        changes = await runner.apply(instances(f"module {name} {{ word = bad }}"))
        assert [(each.what, each.detail) for each in changes] == [(What.KEPT, "not this word")]
        assert await through(runner) == "helloa"
        assert await change(runner, f"module {name} {{ word = c }}") != {}
        assert await through(runner) == "helloc"


async def test_a_module_that_calls_sys_exit_instead_of_taking_new_settings_keeps_its_old_ones() -> None:
    async with await running("module quitter { word = a }") as runner:
        changes = await runner.apply(instances("module quitter { word = config }"))
        assert [(each.what, each.detail) for each in changes] == [(What.KEPT, "it called sys.exit(3)")]
        assert await through(runner) == "helloa"


async def test_a_change_tells_keys_but_no_values_which_may_be_secret() -> None:
    async with await running("module diary { word = hush }") as runner:
        changes = await runner.apply(instances("module diary { word = quiet }"))
    assert [each.detail for each in changes] == ["word"]


async def test_instances_come_and_go_and_change_their_order(said: list[str]) -> None:
    async with await running("module diary { word = a }\nmodule pliable { word = b }") as runner:
        said.clear()
        text = "module sloppy { word = c }\nmodule pliable { word = b }"
        assert await change(runner, text) == {"sloppy": What.STARTED, "diary": What.REMOVED}
        assert await through(runner) == "hellocb"
        assert said == ["start sloppy", "cleanup diary"]
        text = "module pliable { word = b }\nmodule sloppy { word = c }"
        assert await change(runner, text) == {"chain": What.MOVED}
        assert await through(runner) == "hellobc"


async def test_a_module_reads_its_changed_blocks_by_a_start_anew() -> None:
    async with await running("module boards { }\nthing x { word = a }") as runner:
        assert await change(runner, "module boards { }\nthing x { word = b }") == {"boards": What.RESTARTED}
        assert await change(runner, "module boards { }\nthing x { word = b }") == {}


async def test_what_becomes_of_messages_that_it_fails_on_is_changed_in_place(said: list[str]) -> None:
    async with await running("module diary { }") as runner:
        said.clear()
        told = await runner.apply(instances("module diary { \non_fail = drop\nverbosity = 3\n}"))
        assert [(each.what, each.detail) for each in told] == [(What.RECONFIGURED, "on_fail, verbosity")]
        assert runner.reports()[0].on_fail == "drop"
        assert runner.modules["diary"].context.verbosity == 3
        assert said == []


async def test_a_module_that_did_not_start_is_tried_again() -> None:
    async with await running("module diary { word = bad }") as runner:
        assert await change(runner, "module diary { word = a }") == {"diary": What.STARTED}
        assert [report.condition for report in runner.reports()] == [Condition.RUNNING]


@pytest.mark.parametrize("text", ["module thinker { word = new }", ""])
async def test_a_module_answers_what_it_was_asked_before_it_is_replaced_or_removed(
    said: list[str], text: str
) -> None:
    Thinker.go_on = asyncio.Event()
    async with await running("module thinker { }") as runner:
        said.clear()
        answer = asyncio.create_task(through(runner))
        await asyncio.sleep(0.01)
        changing = asyncio.create_task(change(runner, text))
        await asyncio.sleep(0.01)
        assert said == []
        Thinker.go_on.set()
        assert await answer == "hello"
        await changing
        assert said[:2] == ["answer thinker", "cleanup thinker"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("module diary { }\nmodule thinker { word = a }", "module diary { }\nmodule thinker { word = b }"),
        ("module diary { }\nmodule thinker { }", "module diary { }"),
        ("module diary { }", "module sleeper { }\nmodule pliable { }"),
        ("module stubborn { }\nmodule diary { }", "module stubborn { word = b }\nmodule diary { }"),
    ],
    ids=["waits for an answer", "removes", "starts others", "replaces"],
)
async def test_each_start_has_its_one_clean_up_even_if_a_change_is_given_up_half_way(
    said: list[str], old: str, new: str
) -> None:
    Thinker.go_on = asyncio.Event()
    async with await running(old) as runner:
        asking = asyncio.create_task(through(runner))
        await asyncio.sleep(0.01)
        changing = asyncio.create_task(change(runner, new))
        await asyncio.sleep(0.01)
        assert not changing.done()
        await cancel_and_wait(changing, asking)
    starts = sorted(each.removeprefix("start ") for each in said if each.startswith("start"))
    cleanups = sorted(each.removeprefix("cleanup ") for each in said if each.startswith("cleanup"))
    assert len(starts) == 2
    assert cleanups == starts
