"""Who is there is told to those who may know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk.events import Presence
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient

from .town import asked, town


async def sees(viewer: GatewayClient, address: str) -> bool:
    """Whether somebody stands in the directory as online."""
    answer = await viewer.ask(control.Contacts(), control.ContactList)
    return next(contact.online for contact in answer.contacts if contact.address == address)


async def told(viewer: GatewayClient, address: str) -> list[bool]:
    """What a terminal has been told of somebody since it was asked last."""
    await viewer.ask(control.Contacts(), control.ContactList)  # all events of before have come then
    found = []
    while not viewer._events.empty():
        event = viewer._events.get_nowait()
        if isinstance(event, Presence) and event.address == address:
            found.append(event.online)
    return found


@pytest.mark.parametrize(
    ("audience", "bob_sees", "dave_sees"),
    [("everybody", True, True), ("groups", True, False), ("nobody", False, False)],
)
async def test_a_person_says_who_may_know_whether_he_is_there(
    tmp_path: Path, audience: str, bob_sees: bool, dave_sees: bool
) -> None:
    async with (
        town(tmp_path),  # alice and bob are in a group, dave is not
        GatewayClient.connect(tmp_path, "bob") as bob,
        GatewayClient.connect(tmp_path, "dave") as dave,
    ):
        async with GatewayClient.connect(tmp_path, "alice") as alice:
            assert audience in await asked(alice, f"presence {audience}")
            assert await sees(alice, "alice")
        for viewer in (bob, dave):
            await told(viewer, "alice")
        async with GatewayClient.connect(tmp_path, "alice"):
            assert await sees(bob, "alice") is bob_sees
            assert await sees(dave, "alice") is dave_sees
        await asyncio.sleep(0.05)
        assert (await told(bob, "alice"))[-2:] == ([True, False] if bob_sees else [])
        assert (await told(dave, "alice"))[-2:] == ([True, False] if dave_sees else [])


async def test_to_those_who_may_no_longer_know_he_seems_to_leave(tmp_path: Path) -> None:
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "dave") as dave,
        GatewayClient.connect(tmp_path, "alice") as alice,
    ):
        assert (await told(dave, "alice"))[-1:] == [True]
        await asked(alice, "presence groups")
        assert await told(dave, "alice") == [False]
        await asked(alice, "presence everybody")
        assert (await told(dave, "alice"))[-1:] == [True]


async def test_what_he_chose_lasts(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        await asked(alice, "presence nobody")
        assert "`presence everybody`" in await asked(alice, "presence perhaps")
    async with (
        town(tmp_path),
        GatewayClient.connect(tmp_path, "alice"),
        GatewayClient.connect(tmp_path, "dave") as dave,
    ):
        assert await sees(dave, "alice") is False
