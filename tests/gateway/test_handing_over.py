"""Handing over a call: who wants it asks, who has it decides, and nobody comes between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk.events import CallAsked, CallDecided, CallUpdate
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.hub import calls
from tests.gateway.test_several_sessions import next_of, so_far
from tests.gateway.town import CONF, town

CRANE = """
from boardtalk.sdk import CONSUMED, PASS, Contact, Kind, Module

class Crane(Module):
    name = "crane"

    def on_start(self):
        self.context.register(Contact(address="crane", kind=Kind.ROBOT, online=True))

    def on_call(self, call):
        return CONSUMED if call.to == "crane" else PASS

    def on_set_point(self, call, text):
        self.context.end_call(call.id, "it is stopped")
"""


@asynccontextmanager
async def port(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[GatewayClient, GatewayClient, str]]:
    """Alice, who has a call with the crane, root, who wants it, and the call."""
    monkeypatch.setattr(calls, "SILENCE_S", 30.0)
    (folder / "crane.py").write_text(CRANE)
    text = f"module_folders = {folder}\n{CONF}module crane {{\n required = yes\n}}\n"
    async with (
        town(folder, text),
        GatewayClient.connect(folder, "alice") as alice,
        GatewayClient.connect(folder, "root") as root,
    ):
        call = (await alice.ask(control.OpenCall("crane"), control.CallOpened)).call
        yield alice, root, call


async def ask(client: GatewayClient) -> control.Asked:
    return await client.ask(control.AskCall("crane"), control.Asked)


async def test_who_is_asked_hands_over_and_it_is_kept_for_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with port(tmp_path, monkeypatch) as (alice, root, call):
        asked = await ask(root)
        assert asked.holder == "alice"
        question = await next_of(alice, CallAsked)
        assert (question.ask, question.by, question.to) == (asked.ask, "root", "crane")
        root.hand_over(asked.ask, yes=True)  # who asks does not decide
        assert await so_far(root, CallDecided) == []
        alice.hand_over(asked.ask, yes=True)
        decided = await next_of(root, CallDecided)
        assert (decided.granted, decided.reason) == (True, "alice hands it over to root")
        with pytest.raises(Denied, match="handed over to root"):
            await alice.ask(control.OpenCall("crane"), control.CallOpened)
        ended = await next_of(alice, CallUpdate)
        assert (ended.call, ended.reason) == (call, "alice hands it over to root")
        assert await root.ask(control.OpenCall("crane"), control.CallOpened)
        with pytest.raises(Denied, match="root controls crane"):
            await alice.ask(control.OpenCall("crane"), control.CallOpened)


async def test_a_no_and_silence_leave_it_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with port(tmp_path, monkeypatch) as (alice, root, _):
        asked = await ask(root)
        assert await ask(root) == asked  # once more is the same
        alice.hand_over(asked.ask, yes=False)
        assert [(each.granted, each.reason) for each in [await next_of(root, CallDecided)]] == [
            (False, "alice keeps it")
        ]
        monkeypatch.setattr(calls, "ASK_S", 0.05)
        await ask(root)
        decided = await next_of(root, CallDecided)
        assert (decided.granted, decided.reason) == (False, "alice said nothing")
        with pytest.raises(Denied, match="alice controls crane"):
            await root.ask(control.OpenCall("crane"), control.CallOpened)


async def test_who_hangs_up_hands_over_to_who_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with port(tmp_path, monkeypatch) as (alice, root, call):
        await ask(root)
        alice.hang_up(call)
        decided = await next_of(root, CallDecided)
        assert (decided.granted, decided.reason) == (True, "alice hung up")


async def test_a_call_that_is_ended_is_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with port(tmp_path, monkeypatch) as (alice, root, call):
        await ask(root)
        alice.set_point(call, "x=1")
        decided = await next_of(root, CallDecided)
        assert (decided.granted, decided.reason) == (False, "it is stopped")
        assert await alice.ask(control.OpenCall("crane"), control.CallOpened)


async def test_nobody_asks_in_vain_or_without_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        port(tmp_path, monkeypatch) as (alice, root, call),
        GatewayClient.connect(tmp_path, "bob") as bob,
    ):
        with pytest.raises(Denied, match="may not drive crane: `drive` needs the role operator"):
            await ask(bob)
        alice.hang_up(call)
        await next_of(alice, CallUpdate)
        await asyncio.sleep(0.05)
        with pytest.raises(Denied, match="nobody else controls crane"):
            await ask(root)
