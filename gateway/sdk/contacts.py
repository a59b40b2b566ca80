"""Who can be talked to: users, robots and groups, and what a robot understands."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """What a user may do, in rising order of rights."""

    VIEWER = "viewer"
    """Chat and ask."""
    OPERATOR = "operator"
    """Command robots, re-arm them."""
    ADMIN = "admin"
    """Everything, with users and boards."""


class Kind(StrEnum):
    """What stands behind an address."""

    USER = "user"
    """A person, or a program that logs in like one."""
    ROBOT = "robot"
    """A board that a module answers for."""
    GROUP = "group"
    """Several users: what is sent there goes to each of them, or to one in turn."""
    SERVICE = "service"
    """A program that a module answers for: the gateway itself, a chatbot."""

    @property
    def is_people(self) -> bool:
        """Whether people read what is sent there; otherwise a module acts on it."""
        return self in (Kind.USER, Kind.GROUP)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user who logs in or out, as `on_login` sees him."""

    address: str
    """Who it is."""
    online: bool
    """Whether he came or went."""
    flags: int = 0
    """Always 0: no bits are defined."""
    role: Role = Role.VIEWER
    """What he may do."""


class ArgumentInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One argument of a command, for help, completion and forms."""

    name: str
    """As in ``speed=20``."""
    type: str
    """``int``, ``float``, ``bool``, ``str`` or ``choice``."""
    unit: str = ""
    """Of the numbers below, and of one that is typed without."""
    min: float | None = None
    """Smallest number allowed; None = any."""
    max: float | None = None
    """Largest number allowed; None = any."""
    default: Any = None
    """What counts if it is not typed; None = it has to be."""
    choices: tuple[str, ...] = ()
    """The words allowed, for the type ``choice``."""


class CommandInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command that an address understands."""

    name: str
    """The word that is typed."""
    help: str = ""
    """What it does, in a few words."""
    cls: str = "action"
    """Which right it needs: ``stop``, ``motion``, ``action``, ``config`` or ``query``; see `Action`."""
    args: tuple[ArgumentInfo, ...] = ()
    """What follows it, in this order."""
    allowed: bool = True
    """Whether he to whom the gateway shows it may use it."""


class SeriesInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is measured again and again, and told by `Context.publish`."""

    name: str
    """As `Context.publish` has it: ``battery``, ``pose.x``."""
    help: str = ""
    """What it is, in a few words."""
    unit: str = ""
    """Of numbers."""
    min: float | None = None
    """Smallest number that is to be expected; None = any."""
    max: float | None = None
    """Largest number that is to be expected; None = any."""
    text: bool = False
    """Whether its values are texts."""


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who can be talked to. A module registers those that it answers for."""

    address: str
    """What people write before the colon."""
    kind: Kind
    """What stands behind it."""
    online: bool = False
    """Whether it answers now."""
    about: str = ""
    """What it is, in a few words; of a user: the role."""
    state: str = ""
    """One word for people, such as ``ready``, ``offline`` or ``latched``."""
    commands: tuple[CommandInfo, ...] = ()
    """What it understands, for help and completion."""
    controls: tuple[CommandInfo, ...] = ()
    """What can be controlled live, in a call: its names, and the values of a set-point."""
    series: tuple[SeriesInfo, ...] = ()
    """What is measured there; see `Context.publish`."""
    details: dict[str, str] = {}
    """What else is to be known of it, such as its ``firmware`` and ``port``."""
    holder: str = ""
    """Who has it for himself just now, so that others' commands are refused; "" = nobody."""
    rights: tuple[str, ...] = ()
    """Of a robot, each `Action` that he to whom the gateway shows it may; no module needs to say so."""


class Completion(msgspec.Struct, frozen=True):
    """One way to go on with a half-typed line."""

    text: str
    """Replaces the last word of the line."""
    hint: str = ""
    """What it means: help, unit and range."""
