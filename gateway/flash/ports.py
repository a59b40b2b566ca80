"""Whose a port is: the link process lends what it has, other programs keep theirs."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from boardtalk.flash.errors import Code, FlashError
from boardtalk.sdk.errors import BoardtalkError
from boardtalk.sdk.holders import holders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

GROUP: Final = "boardtalk.ports"
"""The entry-point group: who has ports and lends them."""
PSEUDO_TERMINALS: Final = range(136, 144)
"""Major device numbers."""
PURPOSE: Final = "`boardtalk flash`"


class Lender(Protocol):
    """What an entry of the group is."""

    def __call__(self, port: str, state: Path, by: str, /) -> AbstractAsyncContextManager[str | None]:
        """A port for somebody else while the context lasts.

        Args:
            port: its path, or the address of a board.
            state: the gateway's state folder.
            by: what for, for people.

        Returns:
            The port's path; None: it is not this lender's.
        """


@asynccontextmanager
async def ours(port: str, state: Path) -> AsyncIterator[str]:
    """A port that nobody else uses while the context lasts; a board's address becomes its port.

    Raises:
        FlashError: there is no such port, or another program has it.
    """
    async with AsyncExitStack() as stack:
        path = await _lent(port, state, stack)
        if "://" not in path:
            _check(path)
        yield path


async def _lent(port: str, state: Path, stack: AsyncExitStack) -> str:
    for point in entry_points(group=GROUP):
        lender: Lender = point.load()
        try:
            lent = await stack.enter_async_context(lender(port, state, PURPOSE))
        except BoardtalkError as error:
            raise FlashError(Code.PORT_BUSY, f"{port}: {error}") from error
        if lent is not None:
            return lent
    return port


def _check(path: str) -> None:
    if not Path(path).exists():
        raise FlashError(
            Code.PORT_MISSING,
            f"{path}: there is no such port",
            "is the board plugged in? `boardtalk flash detect` lists what is",
        )
    if Path(path).is_dir():
        return
    if os.major(Path(path).stat().st_rdev) in PSEUDO_TERMINALS:
        return  # its other end is there, or it would not be; who flashes locks it
    for pid, command in holders(path):
        raise FlashError(Code.PORT_BUSY, f"{path}: in use by process {pid} ({command})", "end that first")
