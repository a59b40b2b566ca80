"""A board's port for another program: mpremote, which knows MicroPython's REPL best."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MPREMOTE: Final = (sys.executable, "-m", "mpremote")
BAUD: Final = 115_200
"""The only one that mpremote speaks; USB does not care."""


class Loan(NamedTuple):
    """A port that is ours for now."""

    port: str
    owner: Channel[api.AnyAnswer] | None
    """The link process; None: it is nobody's."""

    def printed(self, board: str, text: str) -> None:
        """Tell the gateway what the board printed meanwhile: people in the chat see it too."""
        if self.owner is not None and text:
            self.owner.send(api.Printed(board=board, text=text))


@asynccontextmanager
async def borrowed(board: str, state: Path, by: str) -> AsyncIterator[Loan]:
    """The port of a board while the context lasts: the link process leaves it alone.

    Args:
        board: its address; or a port, which is used as it is.
        state: the gateway's state folder.
        by: what for.

    Raises:
        LinkError: there is no such board or port, or it can't be lent.
        ServiceError: no gateway runs, so that nobody knows the address.
    """
    if "://" in board or Path(board).exists():
        yield Loan(board, None)
        return
    try:
        channel: Channel[api.AnyAnswer] = await Channel.connect(state / api.SOCKET, api.AnyAnswer)
    except ServiceError as error:
        raise ServiceError(f"{error}; without a gateway name the port: `/dev/ttyACM0`") from error
    try:
        found = await _lent(channel, board, by)
        if found.baud != BAUD and "://" not in found.port:
            raise LinkError(f"{board}: its line has {found.baud} baud; the console speaks {BAUD} only")
        yield Loan(found.port, channel)
    finally:
        channel.close()


@asynccontextmanager
async def lent(port: str, state: Path, by: str, /) -> AsyncIterator[str | None]:
    """A port for another program, while the context lasts: the entry `boardtalk.ports`.

    Args:
        port: its path, or a board's address.
        state: the gateway's state folder.
        by: what for.

    Yields:
        The port's path; None: it is nobody's, or that of no board.

    Raises:
        LinkError: it is lent already, or can't be.
    """
    try:
        channel: Channel[api.AnyAnswer] = await Channel.connect(state / api.SOCKET, api.AnyAnswer)
    except ServiceError:
        yield None
        return
    try:
        yield (await _lent(channel, port, by)).port or None
    finally:
        channel.close()


async def _lent(channel: Channel[api.AnyAnswer], board: str, by: str) -> api.Lent:
    channel.send(api.Borrow(board=board, by=by, re=1))
    match await channel.receive():
        case api.Lent() as found:
            return found
        case api.Refused(reason=reason):
            raise LinkError(reason)
        case answer:
            raise ServiceError(f"the link process does not lend the port: {answer}")
