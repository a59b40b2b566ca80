"""Connections for people, whom the gateway does not trust: what they may, and when they end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args

import pytest

from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient, NoGateway
from boardtalk.frontends.rights import RIGHTS
from boardtalk.sdk import Role
from boardtalk.sdk.audit import Attempt, Outcome
from boardtalk.sdk.channel import Channel
from boardtalk.sdk.groups import Members
from tests.gateway.test_local_door import served

PASSWORD = "correct horse"
BEFORE_LOGIN = {control.Login, control.Record, Members, Attempt, Outcome, *get_args(control.Unnamed)}


def test_every_request_says_what_right_it_takes() -> None:
    assert set(RIGHTS) == set(get_args(control.Request)) - BEFORE_LOGIN


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (control.ChangeUser("role", "bob", Role.ADMIN), control.UserChanged),
        (control.ChangeUser("passwd", "alice", password=PASSWORD), control.UserChanged),
        (control.ChangeBoard("rover"), control.BoardChanged),
        (control.Reload(), control.Reloaded),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_s11_only_admins_manage(tmp_path: Path, request_: control.Request, reply: type) -> None:
    async with (
        served(tmp_path),
        GatewayClient.connect(tmp_path, "bob", as_person=True) as bob,
        GatewayClient.connect(tmp_path, "alice", as_person=True) as alice,
    ):
        with pytest.raises(
            Denied, match=r"bob may not administer (this gateway|rover): .*needs the role admin"
        ):
            await bob.ask(request_, reply)
        try:
            await alice.ask(request_, reply)
        except Denied as refused:
            assert "may not" not in str(refused)


async def test_s11_viewers_do_not_look_into_the_gateway_nor_drive(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as owner:
        await owner.ask(control.ChangeUser("add", "carol"), control.UserChanged)
        async with GatewayClient.connect(tmp_path, "carol", as_person=True) as carol:
            for request, reply in (
                (control.Modules(), control.ModuleReports),
                (control.OpenCall("rover"), control.CallOpened),
            ):
                with pytest.raises(Denied, match="may not"):
                    await carol.ask(request, reply)
            await carol.ask(control.Contacts(), control.ContactList)


async def test_the_owner_of_the_socket_still_acts_for_anybody(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "bob") as bob:
        await bob.ask(control.ChangeUser("passwd", "bob", password=PASSWORD), control.UserChanged)


@pytest.mark.parametrize(
    "change",
    [
        control.ChangeUser("remove", "carol"),
        control.ChangeUser("role", "carol", Role.VIEWER),
        control.ChangeUser("passwd", "carol", password=PASSWORD),
    ],
    ids=lambda change: change.action,
)
async def test_s04_who_is_no_longer_who_he_was_is_cut_off_within_2_s(
    tmp_path: Path, change: control.ChangeUser
) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as owner:
        await owner.ask(control.ChangeUser("add", "carol", Role.OPERATOR), control.UserChanged)
        async with (
            GatewayClient.connect(tmp_path, "carol", as_person=True) as carol,
            GatewayClient.connect(tmp_path, "bob", as_person=True) as bob,
        ):
            await owner.ask(change, control.UserChanged)
            async with asyncio.timeout(2):
                while await anext(carol.events(), None):
                    pass
            with pytest.raises(NoGateway):
                await carol.ask(control.Contacts(), control.ContactList)
            await bob.ask(control.Contacts(), control.ContactList)


async def test_a_new_mqtt_password_ends_nothing_here(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "bob", as_person=True) as bob:
        async with GatewayClient.connect(tmp_path, "alice") as owner:
            await owner.ask(control.ChangeUser("token", "bob"), control.UserChanged)
        await bob.ask(control.Contacts(), control.ContactList)


async def asked(folder: Path, request: control.Unnamed) -> control.Reply | None:
    channel: Channel[control.Reply] = await Channel.connect(folder / control.SOCKET, control.Reply)
    try:
        channel.send(request)
        return await channel.receive()
    finally:
        channel.close()


async def test_the_page_asks_for_people_at_its_door(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as owner:
        page = await asked(tmp_path, control.AskPage())
        assert isinstance(page, control.Page)
        assert page.url == "http://127.0.0.1:8080"
        made = await asked(tmp_path, control.SetUp(page.token, "eve", PASSWORD, "192.0.2.7"))
        assert isinstance(made, control.Verified)
        found = await asked(tmp_path, control.Verify("eve", PASSWORD, "192.0.2.7"))
        assert found == made
        wrong = await asked(tmp_path, control.Verify("eve", "wrong", "192.0.2.7"))
        assert wrong == control.NotAdmitted("user or password is wrong")
        contacts = await owner.ask(control.Contacts(), control.ContactList)
    assert {each.about for each in contacts.contacts if each.address == "eve"} == {"admin"}


@pytest.mark.parametrize("name", ["team", "Eve", ""])
async def test_nobody_is_set_up_with_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    async with served(tmp_path):
        page = await asked(tmp_path, control.AskPage())
        assert isinstance(page, control.Page)
        refused = await asked(tmp_path, control.SetUp(page.token, name, PASSWORD, "192.0.2.7"))
        assert isinstance(refused, control.NotAdmitted)
        assert repr(name) in refused.reason


async def test_the_page_hears_of_each_account_that_changes(tmp_path: Path) -> None:
    async with served(tmp_path), GatewayClient.connect(tmp_path, "alice") as owner:
        channel: Channel[control.Reply] = await Channel.connect(tmp_path / control.SOCKET, control.Reply)
        channel.send(control.Accounts())
        first = await channel.receive()
        await owner.ask(control.ChangeUser("passwd", "bob", password=PASSWORD), control.UserChanged)
        second = await channel.receive()
        channel.close()
    assert isinstance(first, control.Stamps)
    assert isinstance(second, control.Stamps)
    changed = {user for user, stamp in second.stamps.items() if first.stamps.get(user) != stamp}
    assert changed == {"bob"}
