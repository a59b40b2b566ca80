"""What is asked of who puts clients on boards, the entry-point group `boardtalk.clients`; what comes back.

A gateway knows no client: the module that speaks with boards brings it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from boardtalk.sdk.errors import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

GROUP: Final = "boardtalk.clients"


class ProvisionError(BoardtalkError):
    """A board did not get its client.

    Args:
        code: which kind of failure, as `boardtalk flash --json` tells it.
        reason: what failed, on what.
        cure: what to do next.
    """

    def __init__(self, code: str, reason: str, cure: str = "") -> None:
        self.code = code
        self.reason = reason
        self.cure = cure
        super().__init__(f"{reason}; {cure}" if cure else reason)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a board that runs MicroPython shall get."""

    port: str
    """Where its prompt is."""
    state: Path
    """The gateway's state folder."""
    robot: tuple[Path, ...] = ()
    """The robot's whole program: its folder, or its files; none: the client alone."""
    label: str = ""
    """What people call this program; "": by its digest."""
    sha256: str = ""
    """What the digest of the program must be; "": any."""
    name: str = ""
    """Its address from now on; "": whoever adopts it says."""
    loader: bool = False
    """With the loader, so that the program can be updated over its link."""
    platform: str = ""
    """What `sys.platform` must be; "": any."""
    login: Callable[[], Awaitable[bytes]] | None = field(default=None, repr=False)
    """Makes the file with the logins of a board that comes by the broker, once nothing speaks against it;
    what it returns is a secret. None: it comes by its port."""
    authority: bytes = b""
    """The certificate of the broker's authority, in DER."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: end, and leave a board that the same order finishes."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A step begins, or is so far."""

    step: str
    detail: str = ""
    done: int = 0
    total: int = 0
    """Bytes; 0: it begins."""
    uid: str = ""
    """Of the board, from the step on in which it is known what will be done to it."""
    sha256: str = ""
    """Then: of all that it shall have and that is no secret."""


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """What a board is now."""

    uid: str
    micropython: str
    """Its version."""
    copied: int
    """Bytes that were not on it."""
    total: int
    program: str = ""
    """What its HELLO says: name and version; "": there was none."""
    dictionary: str = ""
    """Hash of what it can do, hex."""
    note: str = ""
    """What else there is to say."""


class Installer(Protocol):
    """What an entry of the group makes."""

    def install(self, order: Order) -> AsyncGenerator[Stage | Provisioned, None]:
        """Put it on, start it, and, on its port, wait for its HELLO; the last item is what it is then.

        Raises:
            BoardtalkError: it did not work; with `ProvisionError` there is more to say.
        """
        ...

    async def welcome(self, order: Order, board: Provisioned) -> Provisioned:
        """Once its port is free: have the gateway know it.

        Raises:
            BoardtalkError: the gateway does not.
        """
        ...
