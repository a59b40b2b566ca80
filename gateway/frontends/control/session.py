"""A client's session at ``control.sock``: how it begins, by a login or with what takes none."""

from __future__ import annotations

import msgspec

from boardtalk.sdk import Role
from boardtalk.witness import Seen


class Login(msgspec.Struct, tag_field="op", tag="login"):
    """Act as this user from now on, and see his events."""

    user: str
    as_person: bool = False
    """Whether he may only do what his role allows. Else it is the owner of the socket who asks."""


class Verify(msgspec.Struct, tag_field="op", tag="verify"):
    """Instead of `Login`: ask whether this is somebody's password. `Verified` or `NotAdmitted`."""

    user: str
    password: str
    address: str
    """IP address from which he asks: attempts are limited for each."""


class SetUp(msgspec.Struct, tag_field="op", tag="set up"):
    """Instead of `Login`: make the first admin, who has the token. `Verified` or `NotAdmitted`."""

    token: str
    user: str
    password: str
    address: str


class NewPassword(msgspec.Struct, tag_field="op", tag="new password"):
    """Instead of `Login`: change somebody's password, who knows the old one. `Verified` or `NotAdmitted`."""

    user: str
    password: str
    """The old one."""
    new: str
    address: str


class AskPage(msgspec.Struct, tag_field="op", tag="page"):
    """Instead of `Login`: ask where the page is. A token for `SetUp` that was there is replaced."""


class Accounts(msgspec.Struct, tag_field="op", tag="accounts"):
    """Instead of `Login`: `Stamps` comes now and whenever they change."""


class Record(msgspec.Struct, tag_field="op", tag="record"):
    """Instead of `Login`: tell all that the gateway sees and says from now on.

    `Recording` comes, then `Observed` on and on. A client that does not read it is cut off.
    """


class Welcome(msgspec.Struct, tag="welcome"):
    """Answers `Login`."""

    user: str


class Ping(msgspec.Struct, tag_field="op", tag="ping"):
    """Ask for `Pong`, which comes at once, behind nothing that was asked before."""


class Pong(msgspec.Struct, tag="pong"):
    """Answers `Ping`: the gateway's event loop runs."""


class Failure(msgspec.Struct, tag="failure"):
    """A request that was refused."""

    reason: str


class Verified(msgspec.Struct, tag="verified"):
    """Answers `Verify`, `SetUp` and `NewPassword`: who it is now."""

    user: str
    role: Role
    stamp: str
    """As in `Stamps`."""


class NotAdmitted(msgspec.Struct, tag="not admitted"):
    """Answers the same, where it is refused."""

    reason: str
    wait: float = 0.0
    """Seconds until the next attempt."""


class Page(msgspec.Struct, tag="page"):
    """Answers `AskPage`."""

    url: str
    """ "" while there is none."""
    token: str = ""
    """For `SetUp`; "" if somebody can log in already."""


class Stamps(msgspec.Struct, tag="stamps"):
    """Answers `Accounts`, again and again: by address, what changes with role and password.

    Who logged in with another one is to be logged out.
    """

    stamps: dict[str, str]


class Recording(msgspec.Struct, tag="recording"):
    """Answers `Record`: what the gateway is."""

    version: str
    python: str
    configuration: str
    """As it was read; secrets are left out."""
    users: dict[str, Role]
    online: list[str]
    """Users."""
    modules: dict[str, str]
    """Their versions, by instance."""
    next_row: int
    """Of the next message."""


class Observed(msgspec.Struct, tag="observed"):
    """Something that the gateway saw or said."""

    seen: Seen
