"""What is said over ``control.sock``, one JSON object a line: requests, and what the gateway says."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from boardtalk import changes
from boardtalk.changes import Pending, Setting
from boardtalk.events import (
    CallAsked,
    CallDecided,
    CallUpdate,
    Delivery,
    Held,
    Marked,
    Presence,
    Sample,
    Sent,
    Update,
    Values,
)
from boardtalk.health import Report
from boardtalk.sdk import Completion, Contact, Role
from boardtalk.sdk.audit import Attempt, Noted, Outcome
from boardtalk.sdk.groups import MemberList, Members
from boardtalk.store import AuditLine, Conversation, Explanation
from boardtalk.users import Change
from boardtalk.witness import Seen

SOCKET: Final = "control.sock"
Line = Annotated[str, msgspec.Meta(max_length=4096)]
"""What somebody types to be looked up."""
Row = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Where something is stored: as large as SQLite's numbers."""

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


class MarkRead(msgspec.Struct, tag_field="op", tag="mark"):
    """The user has read a conversation up to a row. Not answered; his other sessions are told.

    Receipts that are due for what stands before it are given.
    """

    other: str
    """Whom he talks with: a user, a robot, or a group."""
    row: Row


class Stop(msgspec.Struct, tag_field="op", tag="stop"):
    """Stop one robot, or all."""

    robot: str = ""


class Contacts(msgspec.Struct, tag_field="op", tag="contacts"):
    """Ask for the directory."""


class Complete(msgspec.Struct, tag_field="op", tag="complete"):
    """Ask what may follow a half-typed line."""

    to: str
    line: Line


class History(msgspec.Struct, tag_field="op", tag="history"):
    """Ask for past messages of the user, newest last.

    Who was away asks with the last row that he has as `after`, until there are no more.
    """

    other: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    text: Line = ""
    """Only those with these words."""
    before: Row | None = None
    """Only those of smaller rows, the newest of them."""
    after: Row | None = None
    """Only those of larger rows, the oldest of them; with them changes of others, by `Flag.REPLACES`."""


class Conversations(msgspec.Struct, tag_field="op", tag="conversations"):
    """Ask with whom the user has talked, the newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class Watch(msgspec.Struct, tag_field="op", tag="watch"):
    """Ask to be told by `Values` what is measured at an address, until the connection ends, or `Unwatch`."""

    address: str
    series: list[str] = []
    """Only these; none: all. Asked again, the last one counts."""


class Unwatch(msgspec.Struct, tag_field="op", tag="unwatch"):
    """No longer. Not answered."""

    address: str


class Why(msgspec.Struct, tag_field="op", tag="why"):
    """Ask what became of a message, step by step."""

    id: str = ""
    """"": the last one that the user sent."""


class System(msgspec.Struct, tag_field="op", tag="system"):
    """Ask how the gateway is."""


class Diagnose(msgspec.Struct, tag_field="op", tag="diagnose"):
    """Ask for what somebody needs to know who helps from afar. It has no secrets."""


class Audit(msgspec.Struct, tag_field="op", tag="audit"):
    """Ask who did what, newest last."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    before: Row | None = None
    """Only lines of smaller numbers, the newest of them."""
    text: Line = ""
    """Only those with this in it."""


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


class AskCall(msgspec.Struct, tag_field="op", tag="ask call"):
    """Ask who controls a robot to hand it over. What he says comes as `CallDecided`."""

    to: str


class HandOver(msgspec.Struct, tag_field="op", tag="hand over"):
    """Answer a `CallAsked`. Not answered."""

    ask: str
    yes: bool


class SetPoint(msgspec.Struct, tag_field="op", tag="set"):
    """Live values for a call. Not answered."""

    call: str
    values: Annotated[str, msgspec.Meta(max_length=1024)]
    """Like the arguments of a command: `x=20 y=-50`."""


class HangUp(msgspec.Struct, tag_field="op", tag="hang up"):
    """End a call. Not answered."""

    call: str


class Modules(msgspec.Struct, tag_field="op", tag="modules"):
    """Ask how the modules are."""


class Show(msgspec.Struct, tag_field="op", tag="show"):
    """Ask what a module instance shows of itself to the user: `Module.on_show`."""

    instance: str


class Plugged(msgspec.Struct, tag_field="op", tag="plugged"):
    """Ask what is plugged in: serial ports, drives and loaders. None is opened."""


class Reload(msgspec.Struct, tag_field="op", tag="reload"):
    """Read the configuration again and bring the gateway in line with it."""


class GetSettings(msgspec.Struct, tag_field="op", tag="settings"):
    """Ask for the settings of a module instance."""

    instance: str


class ChangeSettings(msgspec.Struct, tag_field="op", tag="change settings"):
    """Put other settings of a module instance into force, on trial: no file is changed.

    Unless `ConfirmSettings` comes in time, the old ones are in force again.
    """

    instance: str
    values: dict[str, str | None]
    """As the file would have them, by key; null: the default."""
    confirm_s: float = 60.0


class ConfirmSettings(msgspec.Struct, tag_field="op", tag="confirm settings"):
    """Keep them: they are written into the configuration file, where all else stays as it is."""

    change: str


class RevertSettings(msgspec.Struct, tag_field="op", tag="revert settings"):
    """Have the settings of before at once. Answered by `Reloaded`."""

    change: str


class Rights(msgspec.Struct, tag_field="op", tag="rights"):
    """Ask for the rules who may what."""


class ChangeRights(msgspec.Struct, tag_field="op", tag="change rights"):
    """Put another rule into force, on trial as by `ChangeSettings`, and confirmed alike."""

    name: str
    """Of the grant, which may be a new one; "": the block `policy`."""
    values: dict[str, str | None] | None
    """As the file would have them, by key; null: the default. null in place of all: it is removed."""
    confirm_s: float = 60.0


class Judge(msgspec.Struct, tag_field="op", tag="judge"):
    """Ask whether somebody may do something, and why."""

    user: str
    robot: str
    command: str = "see"
    """As it is typed, of which the first word counts; or a right, such as `drive`."""


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

Unanswered = Send | Read | MarkRead | Stop | Unwatch | HandOver | SetPoint | HangUp
"""What nothing answers, not even a refusal: it would be taken for the answer to something else."""

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
    | MarkRead
    | Stop
    | Contacts
    | Complete
    | History
    | Conversations
    | Watch
    | Unwatch
    | Why
    | System
    | Diagnose
    | Audit
    | ChangeUser
    | ChangeBoard
    | OpenCall
    | AskCall
    | HandOver
    | SetPoint
    | HangUp
    | Modules
    | Show
    | Plugged
    | Reload
    | GetSettings
    | ChangeSettings
    | ConfirmSettings
    | RevertSettings
    | Rights
    | ChangeRights
    | Judge
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
    more: bool = False
    """Whether there are more, beyond the limit or what goes into one answer."""


class ConversationList(msgspec.Struct, tag="conversations"):
    """Answers `Conversations`."""

    conversations: list[Conversation]


class Watching(msgspec.Struct, tag="watching"):
    """Answers `Watch`."""

    address: str
    past: dict[str, list[Sample]]
    """What is kept of the recent past, by the names of the series, oldest first."""


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


class Asked(msgspec.Struct, tag="asked"):
    """Answers `AskCall`."""

    ask: str
    holder: str
    """Who is asked."""
    until: float
    """UTC seconds: how long he has for it."""


class BrokerInfo(msgspec.Struct):
    """The broker of MQTT clients."""

    host: str
    """Where it listens; 0.0.0.0: at all addresses of this machine."""
    port: int
    tls: bool
    own: bool
    """Whether this gateway runs it."""


class SessionInfo(msgspec.Struct):
    """A connection at `control.sock`: of a terminal, a page, a program."""

    user: str
    since: float
    """UTC seconds."""
    unread: int
    """Events that it has not read yet."""


class SystemReport(msgspec.Struct, kw_only=True, tag="system"):
    """Answers `System`."""

    version: str
    python: str
    pid: int
    uptime_s: float
    memory_bytes: int
    """Resident, of the gateway's own process."""
    store_bytes: int
    waiting_for_disk: int
    """Messages."""
    disk_free_bytes: int
    """Where the state folder is."""
    disk_bytes: int
    broker: BrokerInfo | None
    sessions: list[SessionInfo]
    """Oldest first."""


class Diagnosis(msgspec.Struct, tag="diagnosis"):
    """Answers `Diagnose`."""

    parts: dict[str, Any]
    """By the name of the file that it becomes: a text, or what JSON can say."""


class AuditPage(msgspec.Struct, tag="audit"):
    """Answers `Audit`."""

    lines: list[AuditLine]
    more: bool = False
    """Whether there are more before them."""


class ModuleReports(msgspec.Struct, tag="modules"):
    """Answers `Modules`."""

    modules: list[Report]


class Shown(msgspec.Struct, tag="shown"):
    """Answers `Show`."""

    value: dict[str, Any]


class Device(msgspec.Struct):
    """A port, a drive, or a loader that is neither."""

    port: str
    usb: str
    """``vendor:product``; "": no USB device."""
    boards: list[str]
    """Which it may be, as `boardtalk boards list` has them."""
    bridge: bool
    """Whether that is the id of a USB-to-serial chip, which says little about the board."""
    name: str
    """What it calls itself."""


class Devices(msgspec.Struct, tag="devices"):
    """Answers `Plugged`."""

    devices: list[Device]


class Reloaded(msgspec.Struct, tag="reloaded"):
    """Answers `Reload`."""

    changes: list[changes.Change]


class ModuleSettings(msgspec.Struct, tag="settings"):
    """Answers `GetSettings`."""

    instance: str
    where: str
    """File and line of its block."""
    settings: list[Setting]
    pending: Pending | None
    """The change, of whichever module, that waits to be confirmed."""


class SettingsOnTrial(msgspec.Struct, tag="settings on trial"):
    """Answers `ChangeSettings`."""

    pending: Pending
    changes: list[changes.Change]


class Rule(msgspec.Struct):
    """A grant."""

    name: str
    where: str
    """File and line."""
    settings: list[Setting]


class RightsList(msgspec.Struct, tag="rights"):
    """Answers `Rights`."""

    roles: bool
    """Whether what roles carry counts beside the grants."""
    where: str
    """File and line of the block that says so; "" = there is none."""
    rules: list[Rule]
    blank: list[Setting]
    """The keys of a new one."""
    rights: list[str]
    """What may be granted."""
    pending: Pending | None
    """The change, of whatever, that waits to be confirmed."""


class Judged(msgspec.Struct, tag="judged"):
    """Answers `Judge`."""

    granted: bool
    reason: str
    """In words: by which rule, or why not and what would help."""


class SettingsKept(msgspec.Struct, tag="settings kept"):
    """Answers `ConfirmSettings`."""

    file: str


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
    | ConversationList
    | Watching
    | Explained
    | UserChanged
    | BoardChanged
    | CallOpened
    | Asked
    | SystemReport
    | Diagnosis
    | AuditPage
    | ModuleReports
    | Shown
    | Devices
    | Reloaded
    | ModuleSettings
    | SettingsOnTrial
    | SettingsKept
    | RightsList
    | Judged
    | Recording
    | Observed
    | MemberList
    | Noted
    | Delivery
    | Sent
    | Marked
    | Update
    | CallUpdate
    | CallAsked
    | CallDecided
    | Presence
    | Held
    | Values
)
