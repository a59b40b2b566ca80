"""Modules that misbehave: nothing passes one that forbids, all goes on past one that adorns; both are shown.

Which of the two it is says `on_fail` of its block, `drop` or `skip`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk import conf, loader
from boardtalk.desk import describe
from boardtalk.sdk import State
from boardtalk.testing import Bench, bench

VILLAIN = """
import asyncio, os
from boardtalk.sdk import CONSUMED, PASS, Message, Module, Settings, Verdict

class Villain(Module):
    name = "villain"

    class Config(Settings):
        ill: bool = False

    def on_start(self) -> None:
        if self.config.ill:
            raise OSError("no list of words")

    async def on_message(self, message: Message) -> Verdict:
        match message.body:
            case "raise":
                raise ValueError("boom")
            case "hang":
                await asyncio.Event().wait()
            case "die":
                os._exit(3)
        return PASS
"""
PEOPLE = {"alice": "operator", "bob": "operator", "carol": "viewer"}
NOTHING_PASSES = "the module villain failed, and nothing passes without it"
ENDS = [("drop", (State.REJECTED, NOTHING_PASSES)), ("skip", (State.DONE, ""))]


@asynccontextmanager
async def gateway_with(folder: Path, settings: str) -> AsyncIterator[Bench]:
    (folder / "villain.py").write_text(VILLAIN)
    async with bench(*planned(folder, settings), users=PEOPLE) as gateway:
        yield gateway


def planned(folder: Path, *settings: str) -> tuple[loader.Instance, ...]:
    blocks = "\n".join(f"module villain {{\n{each}\n}}" for each in settings)
    return loader.plan(conf.parse(f"module_folders = {folder}\n{blocks}")).instances


async def tell(gateway: Bench, text: str, sender: str = "bob") -> tuple[State, str]:
    """What a sender is told of a message to carol."""
    status = await gateway.ended(gateway.say(sender, "carol", text))
    return status.state, status.detail


def shown(gateway: Bench) -> str:
    """What `/modules` says of it."""
    return describe(gateway.reports[-1])


CRIMES = {
    "crashes": ("raise", "ValueError: boom"),
    "hangs": ("hang", "no answer within 1 s"),
}


@pytest.mark.parametrize("isolate", ["no", "yes"])
@pytest.mark.parametrize("crime", CRIMES)
async def test_c16_nothing_passes_one_that_forbids_while_it_fails_and_its_sender_is_told_why(
    tmp_path: Path, crime: str, isolate: str
) -> None:
    text, reason = CRIMES[crime]
    async with gateway_with(tmp_path, f"on_fail = drop\nisolate = {isolate}") as gateway:
        assert await tell(gateway, text) == (State.REJECTED, NOTHING_PASSES)
        assert not gateway.inbox("carol")
        assert "failed 1" in shown(gateway)
        assert reason in shown(gateway)
        assert (await tell(gateway, "hello", "alice"))[0] is State.DONE, "what it can judge goes on"


@pytest.mark.parametrize("isolate", ["no", "yes"])
@pytest.mark.parametrize("crime", CRIMES)
async def test_c16_all_goes_on_past_one_that_adorns_while_it_fails_and_it_is_shown(
    tmp_path: Path, crime: str, isolate: str
) -> None:
    text, reason = CRIMES[crime]
    async with gateway_with(tmp_path, f"on_fail = skip\nisolate = {isolate}") as gateway:
        assert (await tell(gateway, text))[0] is State.DONE
        assert (await gateway.hears("carol", text)).body == text
        assert "failed 1" in shown(gateway)
        assert reason in shown(gateway)


@pytest.mark.parametrize(("on_fail", "end"), ENDS)
async def test_c16_while_it_rests_because_it_failed_too_often(
    tmp_path: Path, on_fail: str, end: tuple[State, str]
) -> None:
    async with gateway_with(tmp_path, f"on_fail = {on_fail}") as gateway:
        for _ in range(3):
            await tell(gateway, "raise")
        assert await tell(gateway, "hello", "alice") == end
        assert "villain: resting" in shown(gateway)


@pytest.mark.parametrize("isolate", ["no", "yes"])
@pytest.mark.parametrize(("on_fail", "end"), ENDS)
async def test_c16_when_it_did_not_start(
    tmp_path: Path, on_fail: str, end: tuple[State, str], isolate: str
) -> None:
    ill = f"ill = yes\non_fail = {on_fail}\nisolate = {isolate}"
    async with gateway_with(tmp_path, "") as gateway:
        await gateway.apply(*planned(tmp_path, "", ill))
        state, detail = await tell(gateway, "hello")
        assert (state, detail.replace("#2", "")) == end
        assert "villain#2: failed" in shown(gateway)
        assert "no list of words" in shown(gateway)


@pytest.mark.parametrize(("on_fail", "end"), ENDS)
async def test_c16_while_its_process_is_dead_and_until_another_one_is_there(
    tmp_path: Path, on_fail: str, end: tuple[State, str]
) -> None:
    async with gateway_with(tmp_path, f"on_fail = {on_fail}\nisolate = yes") as gateway:
        assert await tell(gateway, "die") == end
        assert "has ended" in shown(gateway)
        assert await tell(gateway, "hello", "alice") == end
        async with asyncio.timeout(20):
            while (await tell(gateway, "hello", "alice"))[0] is not State.DONE:
                await asyncio.sleep(0.05)
