"""`boardtalk chat`, `boardtalk stop`, `boardtalk history` and `boardtalk why`."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from boardtalk import envelope
from boardtalk import stop as stopping
from boardtalk.cli.common import (
    DONE,
    REFUSED,
    UNUSABLE,
    AsUser,
    await_,
    console,
    errors,
    me,
    print_json,
)
from boardtalk.events import Delivery, Update
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient, NoGateway
from boardtalk.hub import why as explained
from boardtalk.sdk import Code, Flag, State, Status
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Awaitable

RECORD_S = 1.0
"""Longest that a stop waits for the gateway to note it."""
PAGE: Final = 200
"""Of past messages, so many are asked for at once."""
EDIT_EVERY_S: Final = 10.0
"""A line once printed can't be changed: of what passes, one is shown so often."""


def chat(
    address: str = "",
    /,
    *text: str,
    user: AsUser = None,
    state: StateFolder = None,
    json: AsJson = False,
    timeout: Annotated[float, Parameter(validator=Number(gt=0))] = 60.0,
) -> int:
    """Chat in the terminal, or send one message to a running gateway and print what becomes of it.

    Example: boardtalk chat rover "forward 20"

    Args:
        address: the robot, person or group to talk to.
        text: the message; without it, an interactive chat opens.
        timeout: seconds to wait for the end of a command.
    """
    folder, who = state or running_folder(), user or me()
    if text:
        return await_(_one_message(folder, who, address, " ".join(text), as_json=json, timeout_s=timeout))
    if not sys.stdin.isatty():
        errors.print('the chat needs a terminal; without one: boardtalk chat ADDRESS "TEXT"', soft_wrap=True)
        return UNUSABLE
    return await_(_interactive(folder, who, address))


async def _interactive(folder: Path, user: str, address: str) -> int:
    from boardtalk.frontends.terminal import Chat

    async with GatewayClient.connect(folder, user) as client:
        await Chat(client, folder, user, address).run(folder / f"chat-history-{user}")
    return DONE


async def _one_message(
    folder: Path, user: str, address: str, text: str, *, as_json: bool, timeout_s: float
) -> int:
    async with GatewayClient.connect(folder, user) as client:
        contacts = (await client.ask(control.Contacts(), control.ContactList)).contacts
        waits = not any(contact.address == address and contact.kind.is_people for contact in contacts)
        message_id = client.say(address, text)
        try:
            async with asyncio.timeout(timeout_s):
                return await _follow(client, message_id, until_done=waits, as_json=as_json)
        except TimeoutError:
            later = f"`boardtalk history {address}` may know later"
            errors.print(f"no final answer within {timeout_s:g} s; {later}", soft_wrap=True)
            return REFUSED


async def _follow(client: GatewayClient, message_id: str, *, until_done: bool, as_json: bool) -> int:
    """Print what becomes of a message; the exit code that it deserves."""
    ended: Code | None = None
    answered = False
    edited, shown = "", -EDIT_EVERY_S
    async for event in client.events():
        match event:
            case Update(message_id=name, status=status) if name == message_id:
                _print_event(event, status.words, _color(status), as_json=as_json)
                if status.state.terminal or (not until_done and status.state is State.ACCEPTED):
                    ended = status.code
            case Delivery(message=message) if message.refid == message_id:
                _print_event(event, f"{message.sender}: {message.body}", "default", as_json=as_json)
                answered, edited = True, message.id
            case Delivery(message=message) if edited and message.refid == edited:
                passing = message.flags & Flag.TRANSIENT
                if as_json or not passing or time.monotonic() - shown >= EDIT_EVERY_S:
                    _print_event(event, f"{message.sender}: {message.body}", "default", as_json=as_json)
                    shown = time.monotonic()
        if ended is not None and (answered or not (until_done or ended.failed)):
            return REFUSED if ended.failed else DONE
    errors.print("the gateway went away")
    return UNUSABLE


def _print_event(event: Delivery | Update, text: str, style: str, *, as_json: bool) -> None:
    """Print a line for a person, or the same JSON that MQTT clients get."""
    if not as_json:
        console.print(text, style=style, markup=False, soft_wrap=True)
        return
    write: Any = envelope.write_message if isinstance(event, Delivery) else envelope.write_status
    print(write(event).decode(), flush=True)


def _color(status: Status) -> str:
    if status.code.failed:
        return "red"
    return "green" if status.state is State.DONE else "dim"


def stop(robot: str = "", /, *, user: AsUser = None, state: StateFolder = None, json: AsJson = False) -> int:
    """Stop a robot, or all of them, at once; works even while the gateway hangs.

    Example: boardtalk stop rover

    Args:
        robot: the robot's address; without it, all stop.
    """
    folder, who = state or running_folder(), user or me()
    stopped = await_(stopping.stop(folder, (robot,) if robot else (), who))
    if robot and robot not in (each.board for each in stopped):
        errors.print(f"there is no robot {robot!r}: all were stopped", markup=False)
    if json:
        print_json(stopped)
    else:
        console.print(stopping.describe(stopped), markup=False, soft_wrap=True)
    await_(_record_stop(folder, who, robot))
    return DONE if all(each.confirmed for each in stopped) else REFUSED


async def _record_stop(folder: Path, user: str, robot: str) -> None:
    """Let the gateway know, for the audit, unless it hangs; it stops once more, which does no harm."""
    with suppress(NoGateway, Denied, TimeoutError):
        async with asyncio.timeout(RECORD_S), GatewayClient.connect(folder, user) as client:
            client.stop(robot)
            await client.ask(control.Contacts(), control.ContactList)  # it has begun by then


def history(
    other: str = "",
    /,
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    search: str = "",
    ids: bool = False,
    user: AsUser = None,
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Show what was said, newest last.

    Example: boardtalk history rover --search "forward 20"

    Args:
        other: only what was said to and by this address.
        limit: so many messages at most.
        search: only those with all these words.
        ids: show the ids that `boardtalk why` takes.
    """
    found = _past(state or running_folder(), user or me(), control.History(other, text=search), limit)
    return await_(_history(found, ids=ids, as_json=json))


async def _past(folder: Path, user: str, request: control.History, limit: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    async with GatewayClient.connect(folder, user) as client:
        more = True
        while more and len(entries) < limit:
            request.limit = min(limit - len(entries), PAGE)
            past = await client.ask(request, control.Past)
            entries[:0], more = past.entries, past.more
            request.before = entries[0]["row"] if entries else None
    return entries


async def _history(found: Awaitable[list[dict[str, Any]]], *, ids: bool, as_json: bool) -> int:
    entries = await found
    if as_json:
        print_json(entries)
        return DONE
    for entry in entries:
        name = f"{entry['id'] or '~' + str(entry['row'])} " if ids else ""
        line = f"{entry['at']} {name}{entry['sender']} → {entry['to']}: {entry['body']}"
        console.print(line, markup=False, soft_wrap=True)
    if not entries:
        errors.print("nothing was said")
    return DONE


def why(message: str = "", /, *, user: AsUser = None, state: StateFolder = None, json: AsJson = False) -> int:
    """Show what became of a message, step by step: modules, policy, frame, board, result.

    Example: boardtalk why 5f3a9c01b2d4

    Args:
        message: its id, as `boardtalk history --ids` shows it; without it, your last one.
    """
    return await_(_why(state or running_folder(), user or me(), message, as_json=json))


async def _why(folder: Path, user: str, message_id: str, *, as_json: bool) -> int:
    async with GatewayClient.connect(folder, user) as client:
        try:
            found = (await client.ask(control.Why(message_id), control.Explained)).explanation
        except Denied as denied:
            errors.print(str(denied), markup=False, soft_wrap=True)
            return REFUSED
    if as_json:
        print_json(found)
        return DONE
    for line in explained.lines(found):
        console.print(line, markup=False, soft_wrap=True)
    return DONE
