"""What is said over ``control.sock``, one JSON object a line: requests, and what the gateway says."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from boardtalk import loader
from boardtalk.events import CallUpdate, Delivery, Presence, Update
from boardtalk.health import Report
from boardtalk.sdk import Completion, Contact, Role
from boardtalk.sdk.audit import Attempt, Noted, Outcome
from boardtalk.sdk.groups import MemberList, Members
from boardtalk.store import Explanation
from boardtalk.users import Change
from boardtalk.witness import Seen

SOCKET: Final = "control.sock"

# Requests ---------------------------------------------------------------------------------------


class Login(msgspec.Struct, tag_field="op", tag="login"):
    """Act as this user from now on, and see his events."""

    user: str
    as_person: bool = False
    """Whether he may only do what his role allows. Else it is the owner of the socket who asks."""


class Send(msgspec.Struct, tag_field="op", tag="send"):
    """A message in either form of the envelope, as on `chat/<user>/out`."""

    payload: str


class Read(msgspec.Struct, tag_field="op", tag="read"):
    """The user has read a message that asks for a receipt. Not answered."""

    sender: str
    id: str


class Stop(msgspec.Struct, tag_field="op", tag="stop"):
    """Stop one robot, or all."""

    robot: str = ""


class Contacts(msgspec.Struct, tag_field="op", tag="contacts"):
    """Ask for the directory."""


class Complete(msgspec.Struct, tag_field="op", tag="complete"):
    """Ask what may follow a half-typed line."""

    to: str
    line: str


class History(msgspec.Struct, tag_field="op", tag="history"):
    """Ask for past messages of the user, newest last."""

    other: str = ""
    limit: int = 20
    text: str = ""
    """Only those with these words."""


class Why(msgspec.Struct, tag_field="op", tag="why"):
    """Ask what became of a message, step by step."""

    id: str = ""
    """"": the last one that the user sent."""


class ChangeUser(msgspec.Struct, tag_field="op", tag="user"):
    """Change a user: `add`, `remove`, `passwd`, `token` or `role`."""

    action: str
    address: str
    role: Role | None = None
    password: str = ""


class ChangeBoard(msgspec.Struct, tag_field="op", tag="board"):
    """Give a board a fresh login at the broker, or shut it out."""

    address: str
    revoke: bool = False


class OpenCall(msgspec.Struct, tag_field="op", tag="call"):
    """Ask for live control of a robot."""

    to: str
    control: str = ""


class SetPoint(msgspec.Struct, tag_field="op", tag="set"):
    """Live values for a call. Not answered."""

    call: str
    values: str


class HangUp(msgspec.Struct, tag_field="op", tag="hang up"):
    """End a call. Not answered."""

    call: str


class Modules(msgspec.Struct, tag_field="op", tag="modules"):
    """Ask how the modules are."""


class Reload(msgspec.Struct, tag_field="op", tag="reload"):
    """Read the configuration again and bring the gateway in line with it."""


class Record(msgspec.Struct, tag_field="op", tag="record"):
    """Instead of `Login`: tell all that the gateway sees and says from now on.

    `Recording` comes, then `Observed` on and on. A client that does not read it is cut off.
    """


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


Unnamed = Verify | SetUp | NewPassword | AskPage | Accounts
"""What is asked by nobody in particular."""

Request = (
    Login
    | Record
    | Members
    | Verify
    | SetUp
    | NewPassword
    | AskPage
    | Accounts
    | Attempt
    | Outcome
    | Send
    | Read
    | Stop
    | Contacts
    | Complete
    | History
    | Why
    | ChangeUser
    | ChangeBoard
    | OpenCall
    | SetPoint
    | HangUp
    | Modules
    | Reload
)


# Replies ----------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, tag="welcome"):
    """Answers `Login`."""

    user: str


class Failure(msgspec.Struct, tag="failure"):
    """A request that was refused."""

    reason: str


class ContactList(msgspec.Struct, tag="contacts"):
    """Answers `Contacts`."""

    contacts: list[Contact]


class Completions(msgspec.Struct, tag="completions"):
    """Answers `Complete`."""

    completions: list[Completion]


class Past(msgspec.Struct, tag="history"):
    """Answers `History`."""

    entries: list[dict[str, Any]]


class Explained(msgspec.Struct, tag="why"):
    """Answers `Why`."""

    explanation: Explanation


class UserChanged(Change, frozen=True, tag="user"):
    """Answers `ChangeUser`."""

    foreign_broker: str = ""
    """Where the broker is that does not know of it, if somebody else runs it."""


class BoardChanged(msgspec.Struct, tag="board"):
    """Answers `ChangeBoard`."""

    address: str
    login: str = ""
    """Its name at the broker; "" if it was shut out."""
    token: str = ""
    host: str = ""
    """Where the broker listens; 0.0.0.0: at all addresses of this machine."""
    port: int = 0
    tls: bool = False
    own: bool = True
    """Whether the login has been made, or the broker's operator must."""


class CallOpened(msgspec.Struct, tag="called"):
    """Answers `OpenCall`."""

    call: str


class ModuleReports(msgspec.Struct, tag="modules"):
    """Answers `Modules`."""

    modules: list[Report]


class Reloaded(msgspec.Struct, tag="reloaded"):
    """Answers `Reload`."""

    changes: list[loader.Change]


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


Reply = (
    Welcome
    | Verified
    | NotAdmitted
    | Page
    | Stamps
    | Failure
    | ContactList
    | Completions
    | Past
    | Explained
    | UserChanged
    | BoardChanged
    | CallOpened
    | ModuleReports
    | Reloaded
    | Recording
    | Observed
    | MemberList
    | Noted
    | Delivery
    | Update
    | CallUpdate
    | Presence
)
