"""The directory: everybody who can be talked to, in one name space."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from boardtalk.people import personal
from boardtalk.people.policy import Person, Policy, Verdict, Wish
from boardtalk.people.users import Audience
from boardtalk.sdk import SYSTEM, Action, Code, Contact, Kind, Refused, Role, check_name
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from boardtalk.people.users import Account, Users


class Group(NamedTuple):
    """One address for several."""

    members: tuple[str, ...]
    owner: str | None = None
    one_by_one: bool = False
    """Of each message, one member gets it, in turn."""


class Directory:
    """Users and groups from the configuration, robots and services from the modules that answer for them."""

    def __init__(self, users: Users, groups: Mapping[str, Group]) -> None:
        self._users = users
        self.policy = Policy()
        self._persons: dict[str, Person] = {}
        """Until rights change."""
        self._subscribers: list[Callable[[], None]] = []
        self._groups: dict[str, Group] = {}
        self.set_groups(groups)
        users.subscribe(self._rights_changed)
        self._moved: dict[str, dict[str, bool]] = {}
        """By group, who came to it or left it since: that counts more than the configuration."""
        self._turns: dict[str, int] = {}
        self._answered: dict[str, tuple[str, Contact]] = {}
        self._met: set[str] = set()
        """Robots that are here, or were."""
        self._newcomers: list[Callable[[], None]] = []
        self._online: set[str] = set()

    def kind(self, address: str) -> Kind | None:
        """What stands behind an address, or None."""
        if address in self._answered:
            return self._answered[address][1].kind
        if address in self._groups:
            return Kind.GROUP
        return Kind.USER if self._users.get(address) else None

    def set_online(self, address: str, *, online: bool) -> None:
        """Note that a user came or went."""
        (self._online.add if online else self._online.discard)(address)

    def require(self, address: str, user: str | None = None) -> Kind:
        """What stands behind an address; for a user, if he may know.

        Raises:
            Refused: nobody does; the text names the nearest address.
        """
        kind = self.kind(address)
        if kind and (user is None or self.sees(user, address)):
            return kind
        names = sorted(each for each in self.names() if user is None or self.sees(user, each))
        near = nearest(address, names)
        hint = f"did you mean {near}?" if near else f"known: {', '.join(names[:12]) or 'nobody yet'}"
        raise Refused(Code.BAD_ADDRESS, f"there is no {address!r} here; {hint}")

    def names(self) -> Iterable[str]:
        """All addresses."""
        yield from self._answered
        yield from self._groups
        for account in self._users:
            yield account.address

    def contacts(self) -> list[Contact]:
        """All entries, robots first."""
        robots = [contact for _, contact in self._answered.values()]
        groups = [Contact(address=name, kind=Kind.GROUP, online=True) for name in self._groups]
        users = [self._person(account) for account in self._users]
        return robots + groups + users

    def set_groups(self, groups: Mapping[str, Group]) -> bool:
        """Have these groups in place of the known ones; whether that changed anything."""
        plain = {  # the configuration's own kind of text can't be said in JSON
            str(name): group._replace(members=tuple(map(str, group.members)))
            for name, group in groups.items()
        }
        changed = self._groups != plain
        self._groups = plain
        if changed:
            self._rights_changed()
        return changed

    def contact(self, address: str) -> Contact | None:
        """The entry of an address, or None."""
        if known := self._answered.get(address):
            return known[1]
        if address in self._groups:
            return Contact(address=address, kind=Kind.GROUP, online=True)
        account = self._users.get(address)
        return self._person(account) if account else None

    def _person(self, account: Account) -> Contact:
        online = account.address in self._online
        return Contact(address=account.address, kind=Kind.USER, online=online, about=account.role)

    def members(self, group: str) -> tuple[str, ...]:
        """Members of a group; none if there is no such group."""
        if group not in self._groups:
            return ()
        moved = self._moved.get(group, {})
        stayed = [member for member in self._groups[group].members if moved.get(member, True)]
        came = [member for member, is_in in moved.items() if is_in and member not in stayed]
        return (*stayed, *came)

    def robots(self, address: str) -> tuple[str, ...]:
        """The robot with this address, or those in this group."""
        members = self.members(address) if address in self._groups else (address,)
        return tuple(member for member in members if self.kind(member) is Kind.ROBOT)

    def groups_of(self, user: str) -> list[str]:
        """The groups that a user is a member of."""
        return [group for group in self._groups if user in self.members(group)]

    def may_change(self, group: str, user: str) -> bool:
        """Whether a user may take members into a group and out of it."""
        return self._groups[group].owner == user or self.allowed(user, "admin")

    def move(self, group: str, members: Mapping[str, bool]) -> None:
        """Take users into a group (true) or out of it (false), whatever the configuration says."""
        self._moved.setdefault(group, {}).update(members)
        self._rights_changed()

    def moved(self, group: str) -> Mapping[str, bool]:
        """Whom `move` took into a group or out of it."""
        return self._moved.get(group, {})

    def recipients(self, group: str, sender: str) -> list[str]:
        """The people who get a message to a group: all, or one in turn, if possible one who is online.

        Raises:
            Refused: there are only robots in it.
        """
        robots = self.robots(group)
        others = [member for member in self.members(group) if member != sender and member not in robots]
        seen = [robot for robot in robots if self.sees(sender, robot)]
        if seen and not others:
            raise Refused(
                Code.BAD_ADDRESS,
                f"{group} has nobody else but robots in it, who take orders one by one: `{seen[0]}: …`",
            )
        if not (self._groups[group].one_by_one and others):
            return others
        turn = self._turns.get(group, -1) + 1
        in_turn = others[turn % len(others) :] + others[: turn % len(others)]
        chosen = next((member for member in in_turn if self.is_online(member)), in_turn[0])
        self._turns[group] = others.index(chosen)
        return [chosen]

    def viewers(self, address: str) -> tuple[str, ...] | None:
        """Who is told whether somebody is online; None: everybody."""
        if not self.policy.roles and not self._is_open(address):
            return tuple(each.address for each in self._users if self.sees(each.address, address))
        account = self._users.get(address)
        if account is None or account.seen_by is Audience.EVERYBODY or address in self._answered:
            return None
        shared = self.groups_of(address) if account.seen_by is Audience.GROUPS else []
        return tuple({address, *(member for group in shared for member in self.members(group))})

    def show_to(self, user: str, audience: Audience) -> None:
        """Set who is told whether a user is online."""
        self._users.show_to(user, audience)

    def contacts_for(self, user: str) -> list[Contact]:
        """All entries that a user may see, as he does: who does not want him to know seems to be away."""
        seen = [contact for contact in self.contacts() if self.sees(user, contact.address)]
        return [
            personal.entry(contact, self.policy, self.person(user))
            if contact.kind is Kind.ROBOT
            else msgspec.structs.replace(contact, online=contact.online and self._is_shown(user, contact))
            for contact in seen
        ]

    def _is_shown(self, user: str, contact: Contact) -> bool:
        viewers = self.viewers(contact.address)
        return viewers is None or user in viewers

    def is_online(self, address: str) -> bool:
        """Whether a user is logged in, or a robot answers."""
        known = self._answered.get(address)
        return known[1].online if known else address in self._online

    def register(self, owner: str, contact: Contact) -> None:
        """Enter or update an address that module instance `owner` answers for.

        Raises:
            Refused: not an address, or somebody else's.
        """
        if (owner, contact.address) != (SYSTEM, SYSTEM):
            check_name(contact.address)
        known = self._answered.get(contact.address)
        if (known and known[0] != owner) or (not known and self.kind(contact.address)):
            raise Refused(Code.BAD_ADDRESS, f"{contact.address!r} is somebody else's address")
        self._answered[contact.address] = (owner, contact)
        if contact.kind is Kind.ROBOT and contact.address not in self._met:
            self._met.add(contact.address)
            for came in self._newcomers:
                came()

    def unregister(self, owner: str, address: str) -> None:
        """Remove an address of `owner`'s."""
        if self.owner(address) == owner:
            del self._answered[address]

    def owner(self, address: str) -> str | None:
        """The module instance that answers for an address, or None."""
        known = self._answered.get(address)
        return known[0] if known else None

    def owned_by(self, owner: str) -> list[str]:
        """The addresses that a module instance answers for."""
        return [address for address, (known, _) in self._answered.items() if known == owner]

    def role(self, address: str) -> Role | None:
        """A user's role."""
        return self._users.role(address)

    # Rights -----------------------------------------------------------------------------------

    def set_policy(self, policy: Policy) -> bool:
        """Have these rules in place of those of before; whether that changed anything."""
        changed, self.policy = self.policy != policy, policy
        self._persons.clear()  # also if only a line number is another one
        if changed:
            self._rights_changed()
        return changed

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever somebody's rights may have changed."""
        self._subscribers.append(changed)

    def person(self, user: str) -> Person:
        """A user and what is granted to him.

        Who came to a group by `move` has none of its rights: its owner gives away no more than he was given.
        """
        if user not in self._persons:
            mine = [name for name in self.groups_of(user) if user in self._groups[name].members]
            self._persons[user] = self.policy.person(user, self._users.role(user), mine)
        return self._persons[user]

    def judge(self, user: str, wish: Wish) -> Verdict:
        """What policy says to a wish of a user's."""
        return self.policy.judge(self.person(user), wish)

    def allowed(
        self,
        user: str,
        action: Action,
        to: str = SYSTEM,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether policy grants a user an action, with a robot or at the gateway itself."""
        return self.judge(user, Wish(action, to, command, values)).granted

    def sees(self, user: str, address: str) -> bool:
        """Whether a user may know of an address. Robots and names that nobody has are alike to him."""
        return self.policy.roles or self._is_open(address) or self.allowed(user, "see", address)

    def states(self, user: str) -> tuple[str, ...] | None:
        """The robots whose state a user may read at the broker; None: all.

        Those that a grant names in full, and of patterns, which a broker does not know, each robot that has
        been here: that it is gone for a while cuts nobody off.
        """
        view = self.view(user)
        if "*" in view:
            return None
        named = {name for name in view if "*" not in name}
        met = {robot for robot in self._met if any(fnmatchcase(robot, pattern) for pattern in view)}
        return tuple(sorted(named | met))

    def view(self, user: str) -> tuple[str, ...]:
        """Patterns of the robots that a user may know of."""
        person = self.person(user)
        if person.role is not None and (self.policy.roles or person.role is Role.ADMIN):
            return ("*",)
        return tuple(sorted({pattern for grant in person.grants for pattern in grant.robots}))

    def on_new_robot(self, came: Callable[[], None]) -> None:
        """Have `came` called whenever there is a robot that has not been here before."""
        self._newcomers.append(came)

    def _is_open(self, address: str) -> bool:
        """Whether everybody may know of it: of people, groups and services."""
        return self.kind(address) not in (None, Kind.ROBOT)

    def _rights_changed(self) -> None:
        self._persons.clear()
        for changed in tuple(self._subscribers):
            changed()
