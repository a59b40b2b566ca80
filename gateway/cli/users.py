"""`boardtalk user`: users, their roles and tokens."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

from cyclopts import App

from boardtalk.cli.common import DONE, await_, console, errors, me, print_json
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient, NoGateway
from boardtalk.people.users import Users
from boardtalk.runtime.state import locked
from boardtalk.sdk import ConfigError, Kind, Role
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

users = App(name="user", help="Users, their roles and tokens.")


def _change_user(action: str, address: str, state: Path | None, *, as_json: bool, **more: Any) -> int:
    changed = await_(_change_running_or_stored(state or running_folder(), action, address, more))
    if changed.token and changed.foreign_broker:
        errors.print(
            f"the broker {changed.foreign_broker} is somebody else's and does not know this password: "
            f"only its operator can let {address} in there",
            soft_wrap=True,
        )
    if as_json:
        print_json(changed)
        return DONE
    console.print(f"{changed.address}: {'removed' if action == 'remove' else changed.role}")
    if changed.token:
        console.print(
            f"MQTT user {changed.address}, password (shown only now): {changed.token}",
            soft_wrap=True,
        )
    return DONE


async def _change_running_or_stored(
    folder: Path, action: str, address: str, more: dict[str, Any]
) -> control.UserChanged:
    """Ask the running gateway, which tells the broker at once; if none runs, change the stored users."""
    try:
        async with GatewayClient.connect(folder, me()) as client:
            return await client.ask(control.ChangeUser(action, address, **more), control.UserChanged)
    except NoGateway:
        with locked(folder):
            changed = _stored(folder).change(action, address, **more)
        return control.UserChanged(changed.address, changed.role, changed.token, _foreign_broker())


def _stored(folder: Path) -> Users:
    """The users as they are on disk."""
    stored = Users.load(folder / "secrets")
    if stored.damage:
        errors.print(stored.damage, soft_wrap=True, markup=False)
    return stored


def _foreign_broker() -> str:
    """Where the broker is that a gateway started here would use, if somebody else runs it."""
    from boardtalk import app, conf

    try:
        return conf.foreign_broker(conf.load(app.find_conf(None)))
    except ConfigError:
        return ""  # `boardtalk run` and `boardtalk check` say what is wrong with it


@users.command(name="list")
def list_users(*, state: StateFolder = None, json: AsJson = False) -> int:
    """List the users and their roles.

    Example: boardtalk user list
    """
    found = await_(_running_or_stored(state or running_folder()))
    if json:
        print_json([{"address": address, "role": role} for address, role in found])
        return DONE
    for address, role in found:
        console.print(f"{address:<32} {role}", markup=False)
    if not found:
        errors.print("no users: `boardtalk user add NAME` makes one", soft_wrap=True)
    return DONE


async def _running_or_stored(folder: Path) -> list[tuple[str, str]]:
    """Addresses and roles that the running gateway knows; if none runs, those stored."""
    try:
        async with GatewayClient.connect(folder, me()) as client:
            contacts = (await client.ask(control.Contacts(), control.ContactList)).contacts
            return [(each.address, each.about) for each in contacts if each.kind is Kind.USER]
    except NoGateway:
        return [(account.address, account.role) for account in _stored(folder)]


@users.command
def add(name: str, /, *, role: Role = Role.VIEWER, state: StateFolder = None, json: AsJson = False) -> int:
    """Add a user and print his MQTT token.

    Example: boardtalk user add alice --role operator
    """
    return _change_user("add", name, state, as_json=json, role=role)


@users.command
def remove(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Remove a user; his connections end.

    Example: boardtalk user remove alice
    """
    return _change_user("remove", name, state, as_json=json)


@users.command
def passwd(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Set the password that a person logs in with; asks for it, or reads a line from standard input.

    Example: boardtalk user passwd alice
    """
    password = (
        getpass.getpass(f"New password for {name}: ")
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\n")
    )
    return _change_user("passwd", name, state, as_json=json, password=password)


@users.command
def token(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Give a user a new MQTT token; the old one stops working.

    Example: boardtalk user token alice
    """
    return _change_user("token", name, state, as_json=json)


@users.command
def role(name: str, role: Role, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Change a user's role: viewer, operator or admin.

    Example: boardtalk user role alice viewer
    """
    return _change_user("role", name, state, as_json=json, role=role)
