"""Running the gateway over ``control.sock``: how it and its modules are, users, boards."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from boardtalk.chain.health import Report
from boardtalk.conf import changes
from boardtalk.frontends.control.limits import Line, Row
from boardtalk.people.users import Change
from boardtalk.sdk import Role
from boardtalk.store.records import AuditLine


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


class Modules(msgspec.Struct, tag_field="op", tag="modules"):
    """Ask how the modules are."""


class Show(msgspec.Struct, tag_field="op", tag="show"):
    """Ask what a module instance shows of itself to the user: `Module.on_show`."""

    instance: str


class Plugged(msgspec.Struct, tag_field="op", tag="plugged"):
    """Ask what is plugged in: serial ports, drives and loaders. None is opened."""


class Reload(msgspec.Struct, tag_field="op", tag="reload"):
    """Read the configuration again and bring the gateway in line with it."""


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


Request = System | Diagnose | Audit | Modules | Show | Plugged | Reload | ChangeUser | ChangeBoard


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
