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
    ROBOT = "robot"
    GROUP = "group"
    SERVICE = "service"
    """A program that a module answers for: the gateway itself, a chatbot."""

    @property
    def is_people(self) -> bool:
        """Whether people read what is sent there; otherwise a module acts on it."""
        return self in (Kind.USER, Kind.GROUP)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user who logs in or out, as `on_login` sees him."""

    address: str
    online: bool
    flags: int = 0
    role: Role = Role.VIEWER


class ArgumentInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One argument of a command, for help, completion and forms."""

    name: str
    type: str
    """``int | float | bool | str | choice``."""
    unit: str = ""
    min: float | None = None
    max: float | None = None
    default: Any = None
    choices: tuple[str, ...] = ()


class CommandInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command that an address understands."""

    name: str
    help: str = ""
    cls: str = "action"
    """``stop | motion | action | config | query``."""
    args: tuple[ArgumentInfo, ...] = ()


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of the directory. Modules register those that they answer for."""

    address: str
    kind: Kind
    online: bool = False
    about: str = ""
    state: str = ""
    """One word for people: ``ready``, ``offline``, ``latched`` …"""
    commands: tuple[CommandInfo, ...] = ()


class Completion(msgspec.Struct, frozen=True):
    """One way to go on with a half-typed line."""

    text: str
    """Replaces the last word of the line."""
    hint: str = ""
    """What it means: help, unit and range."""
