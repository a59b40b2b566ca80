"""Who may do what. The only place where rights are decided; deny by default.

What a role carries counts for all robots, unless the configuration says ``policy { roles = no }``; each
``grant`` adds to that. Nothing takes away: with a grant less, nobody may more. Everybody who is logged in may
stop, always, and admins may everything: they could grant it to themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, get_args

from boardtalk.sdk import SYSTEM, Action, Role, check_address
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

GRANTS: Final[Mapping[Role, frozenset[Action]]] = {
    Role.VIEWER: frozenset({"see", "query", "stop"}),
    Role.OPERATOR: frozenset(
        {"see", "query", "stop", "action", "motion", "config", "drive", "rearm", "inspect", "flash"}
    ),
    Role.ADMIN: frozenset(get_args(Action)),
}
"""What roles carry. Everybody who is logged in may stop."""
OF_ROLES: Final = frozenset({"see", "query", "inspect"})
"""What a role carries at the gateway itself, whoever may what with robots."""
RIGHTS: Final = tuple(each for each in get_args(Action) if each != "stop")
"""What can be granted."""
EVERYBODY: Final = "*"
DEEDS: Final[Mapping[Action, str]] = {
    "see": "see {}",
    "query": "ask {}",
    "action": "use {}",
    "motion": "move {}",
    "config": "change settings of {}",
    "drive": "drive {}",
    "rearm": "re-arm {}",
    "stop": "stop {}",
    "inspect": "look into {}",
    "flash": "flash {}",
    "admin": "administer {}",
}
_PATTERN: Final = re.compile(r"[a-z0-9_*-]{1,32}")
_LIMIT: Final = re.compile(r"([a-z][a-z0-9_]{0,31})\s*(<=|>=|=)\s*(\S(?:.*\S)?)")
_SWITCH: Final = {True: "on", False: "off"}


def allowed(role: Role | None, action: Action) -> bool:
    """Whether a role carries a right. None (nobody we know) carries none."""
    return role is not None and action in GRANTS[role]


# What a grant is made of -------------------------------------------------------------------------


class Right(str):
    """Something that can be granted."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: there is no such right.
        """
        if text not in RIGHTS:
            near = nearest(text, RIGHTS)
            hint = f"did you mean {near}? " if near else ""
            stop = "stop needs no grant: everybody may. " if text == "stop" else ""
            raise ValueError(
                f"there is no right {text[:40]!r} to grant; {stop}{hint}rights: {', '.join(RIGHTS)}"
            )
        return super().__new__(cls, text)


class Pattern(str):
    """A name, in which ``*`` stands for anything."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: no name is like this.
        """
        if not _PATTERN.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is no name: a-z, 0-9, _ and -, with * for anything")
        return super().__new__(cls, text)


class Robots(Pattern):
    """A robot's address, or several by a pattern."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError, AddressError: no address is like this.
        """
        return super().__new__(cls, text if "*" in text else check_address(text))


class Who(str):
    """A user or a group, or everybody."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            AddressError: it can't be an address.
        """
        return super().__new__(cls, text if text == EVERYBODY else check_address(text))


class Limit(str):
    """What an argument may be: ``speed <= 20``, ``angle >= -90``, ``gear = low|middle``."""

    argument: str
    relation: str
    bound: float
    """Of a number."""
    choices: frozenset[str]
    """Of ``=``."""

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: it is no limit.
        """
        found = _LIMIT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text[:40]!r} is no limit: write `speed <= 20`, `angle >= -90` or `gear = low|middle`"
            )
        made = super().__new__(cls, text)
        made.argument, made.relation, value = found.groups()
        made.choices = frozenset(each.strip() for each in value.split("|"))
        made.bound = 0.0
        if made.relation != "=":
            try:
                made.bound = float(value)
            except ValueError:
                raise ValueError(
                    f"{text[:40]!r}: {value[:40]!r} is no number, in the unit that the board declares"
                ) from None
        return made

    def holds(self, value: Any) -> bool:
        """Whether a value keeps it. What can't be compared does not."""
        if self.relation == "=":
            return (
                _SWITCH.get(value, str(value)) in self.choices
                if isinstance(value, bool)
                else _is_one(value, self.choices)
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return value <= self.bound if self.relation == "<=" else value >= self.bound


def _is_one(value: Any, choices: Iterable[str]) -> bool:
    return any(
        str(value) == each or (isinstance(value, int | float) and _number(each) == value) for each in choices
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A rule: who may what with which robots."""

    name: str
    users: tuple[str, ...] = ()
    """Users and groups; `EVERYBODY`: all."""
    roles: tuple[Role, ...] = ()
    """All users of these roles."""
    robots: tuple[str, ...] = ()
    """Patterns of addresses."""
    may: frozenset[str] = frozenset()
    """Rights. Whoever may anything with a robot sees it too."""
    commands: tuple[str, ...] = ()
    """Further commands, by patterns of their names, whatever they are declared to be."""
    limits: tuple[Limit, ...] = ()
    """What arguments may be. Of a command that has no such argument, nothing."""
    where: str = field(default="", compare=False)
    """File and line."""

    @property
    def title(self) -> str:
        """As it is told to people."""
        return f"grant {self.name} ({self.where})" if self.where else f"grant {self.name}"

    def is_for(self, user: str, role: Role, groups: Iterable[str]) -> bool:
        """Whether it is for a user."""
        return role in self.roles or any(each in (EVERYBODY, user, *groups) for each in self.users)

    def is_of(self, robot: str) -> bool:
        """Whether it is about a robot."""
        return robot != SYSTEM and any(fnmatchcase(robot, pattern) for pattern in self.robots)

    def covers(self, action: Action, command: str) -> bool:
        """Whether it gives a right, or a command by its name."""
        if action == "see" or action in self.may:
            return True
        return (
            bool(command) and action != "drive" and any(fnmatchcase(command, each) for each in self.commands)
        )

    def broken(self, values: Mapping[str, Any]) -> Iterator[tuple[Limit, Any]]:
        """The limits that values don't keep, each with the value."""
        for limit in self.limits:
            if limit.argument in values and not limit.holds(values[limit.argument]):
                yield limit, values[limit.argument]


# Decisions ---------------------------------------------------------------------------------------


class Person(NamedTuple):
    """A user, and the grants that are for him."""

    address: str
    role: Role | None
    """None: nobody we know."""
    grants: tuple[Grant, ...] = ()


class Wish(NamedTuple):
    """What somebody wants to do."""

    action: Action
    to: str
    """A robot, or something else that a module answers for; `SYSTEM`: the gateway itself; "": a board that
    has no address yet, for which only patterns that take in all robots count."""
    command: str = ""
    """Its name, if it is one: of a live control, of which `action` is ``drive``, too."""
    values: Mapping[str, Any] | None = None
    """Its arguments in the units that the board declares; None: not known yet, so that no limit counts."""


class Verdict(NamedTuple):
    """Whether he may."""

    granted: bool
    rule: str = ""
    """The grant that grants it; "" if his role does."""
    reason: str = ""
    """Why not, and what would change that."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a configuration."""

    roles: bool = True
    """Whether what roles carry counts for robots."""
    grants: tuple[Grant, ...] = ()

    def person(self, address: str, role: Role | None, groups: Iterable[str] = ()) -> Person:
        """A user, by his role and the groups that he is in."""
        groups = tuple(groups)
        own = tuple(each for each in self.grants if role is not None and each.is_for(address, role, groups))
        return Person(address, role, own)

    def judge(self, person: Person, wish: Wish) -> Verdict:
        """Whether somebody may do something."""
        if person.role is None:
            return Verdict(granted=False, reason=f"{person.address} is no user here: `boardtalk user add`")
        if wish.action == "stop" or person.role is Role.ADMIN or self._carries(person.role, wish):
            return Verdict(granted=True)
        broken = ""
        for grant in person.grants:
            if not (grant.is_of(wish.to) and grant.covers(wish.action, wish.command)):
                continue
            found = next(grant.broken(wish.values or {}), None)
            if found is None:
                return Verdict(granted=True, rule=grant.title)
            broken = broken or f"{grant.title} says {found[0]}, and it is {found[1]}"
        deed = DEEDS[wish.action].format("this gateway" if wish.to == SYSTEM else wish.to)
        if wish.command:
            deed = f"tell {wish.to} to {wish.command}" if wish.action != "drive" else f"drive {wish.to} so"
        return Verdict(
            granted=False, reason=f"{person.address} may not {deed}: {broken or self._missing(person, wish)}"
        )

    def _carries(self, role: Role, wish: Wish) -> bool:
        counts = self.roles or (wish.to == SYSTEM and wish.action in OF_ROLES)
        return counts and allowed(role, wish.action)

    def _missing(self, person: Person, wish: Wish) -> str:
        role = next((each for each in Role if allowed(each, wish.action)), Role.ADMIN)
        if wish.to == SYSTEM:
            return f"that needs the role {role}"
        grant = f"a grant with `{wish.action}` for {wish.to}"
        if self.roles:
            return f"`{wish.action}` needs the role {role}, or {grant}"
        return f"no grant gives {person.address} `{wish.action}` there; an admin can write {grant}"


# Topics ------------------------------------------------------------------------------------------


class Topics(NamedTuple):
    """MQTT topics that a login may publish to and subscribe to, as MQTT topic filters."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


GATEWAY_TOPICS: Final = Topics(
    publish=(
        *(f"chat/+/{lane}" for lane in ("in", "status", "calls", "presence/+")),
        "presence/+",
        "boards/+/status",
    ),
    subscribe=("chat/+/out", "chat/+/read", "chat/+/stop", "chat/+/call"),
)
"""Only the gateway puts anything into an inbox: nothing reaches anybody but through the chain."""

LINK_TOPICS: Final = Topics(
    publish=("boards/+/rx", "boards/+/state"), subscribe=("boards/+/tx", "boards/+/status", "chat/+/stop")
)
"""Only the process that talks to boards commands them. It hears stops itself: the gateway may hang."""


def user_topics(address: str, robots: tuple[str, ...] | None = None) -> Topics:
    """What a user may say and hear at the broker.

    Args:
        address: must have passed `check_address`, as `robots`.
        robots: whose state he may read; None: of all.
    """
    states = ("boards/+/state",) if robots is None else tuple(f"boards/{each}/state" for each in robots)
    return Topics(
        publish=tuple(f"chat/{address}/{lane}" for lane in ("out", "read", "stop", "call")),
        subscribe=(f"chat/{address}/#", "presence/+", *states),
    )


def board_topics(address: str) -> Topics:
    """What a board may say and hear at the broker: only in its own name."""
    return Topics(
        publish=(f"boards/{address}/tx", f"boards/{address}/status"),
        subscribe=(f"boards/{address}/rx",),
    )
