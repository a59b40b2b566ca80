"""Whom the gateway knows by which address, and that it gets to know one more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import AddressError, ServiceError, check_name
from boardtalk.sdk.provision import ProvisionError

if TYPE_CHECKING:
    from pathlib import Path

MET_S: Final = 15.0
"""The port is free again, and the gateway greets who is there."""
JOINED_S: Final = 60.0
"""A board joins its Wi-Fi, and comes by the broker."""
LOOK_S: Final = 0.2
THERE: Final = (api.BoardState.READY, api.BoardState.LATCHED)


async def boards(state: Path) -> tuple[api.BoardChanged, ...] | None:
    """All boards that the gateway knows; None: there is no gateway."""
    try:
        answer = await ask(state, api.ListBoards(re=1))
    except ServiceError:
        return None
    return answer.boards if isinstance(answer, api.Boards) else ()


def check(known: tuple[api.BoardChanged, ...], name: str, uid: str, *, network: bool) -> None:
    """Whether a board may have this address.

    Raises:
        ProvisionError: another one has it, or this one has another.
    """
    try:
        check_name(name)
    except AddressError as error:
        raise ProvisionError("name", f"{error}") from error
    theirs = next((each for each in known if each.name == name), None)
    if theirs is not None and theirs.uid not in {"", uid}:
        raise ProvisionError(
            "name",
            f"{name} is the address of board {theirs.uid}, and this is board {uid}; nothing was touched",
            "choose another --name",
        )
    ours = next((each for each in known if each.uid == uid and each.name), None)
    if ours is not None and ours.name != name:
        raise ProvisionError(
            "name", f"board {uid} is {ours.name} already; nothing was touched", f"--name {ours.name}"
        )
    if network and theirs is None:
        raise ProvisionError(
            "name",
            f"the gateway expects no board {name}; nothing was touched",
            f"its configuration needs `board {name} {{ port = mqtt }}`",
        )


async def joined(state: Path, name: str, uid: str) -> api.BoardChanged:
    """A board that has come by the broker.

    Raises:
        ProvisionError: it does not.
    """
    last = ""
    try:
        async with asyncio.timeout(JOINED_S):
            while True:
                for each in await boards(state) or ():
                    if each.uid == uid and each.state in THERE and name in {"", each.name}:
                        return each
                    last = each.detail if each.name == name else last
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise ProvisionError(
            "no-hello",
            f"{name or uid} does not come by the broker{': ' + last if last else ''}",
            "all is on the board, which says at its prompt what is wrong: name and password of the Wi-Fi, "
            "or the broker's --host; then the same command",
        ) from error


async def named(state: Path, name: str, uid: str) -> str:
    """Give a board its address, once the gateway has met it; what there is left to do, in words."""
    later = f"`boardtalk boards adopt {uid} {name or 'NAME'}`"
    if await boards(state) is None:
        return f"no gateway runs: `boardtalk run`, then {later} in another terminal"
    if not name:
        return f"an address: {later}"
    try:
        async with asyncio.timeout(MET_S):
            while True:
                for each in await boards(state) or ():
                    if each.uid == uid and each.name:
                        return "" if each.name == name else f"it is {each.name} by the configuration"
                    if each.uid == uid and each.state is api.BoardState.WAITING:
                        answer = await ask(state, api.Adopt(uid=uid, name=name, re=1))
                        if isinstance(answer, api.Refused):
                            raise ProvisionError("name", answer.reason, later)
                        return ""
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        return (
            "the gateway did not meet it: it looks at ports with USB ids of known boards, and at those in "
            f"the configuration, `board {name} {{ port = … }}`; then {later}"
        )
