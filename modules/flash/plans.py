"""Plans that wait for their codes. Pure, but for the codes."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from boardtalk.modules.flash.requests import is_port
from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from boardtalk.modules.flash.requests import Word

LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Those that nobody takes for others."""
CODE_CHARS: Final = 5
TRIES: Final = 3
"""So many wrong codes and a plan is void."""


Act = Literal["write", "push", "rollback"]


class Item(NamedTuple):
    """What shall become of one robot: whatever of it changes makes the plan void."""

    robot: str
    uid: str
    port: str
    kind: str
    """The folder from which it gets something: for firmware, the id of its definition."""
    file: Path
    name: str
    sha256: str
    size: int = 0
    """Bytes."""
    version: str = ""
    before: str = ""
    """What runs on it now, for people."""
    program: Path | None = None
    """Of a board without an address: the program that it gets, with the client; None: firmware only."""
    release: str = ""
    """… as it was named: ``PROGRAM/RELEASE``."""
    program_sha256: str = ""
    about: str = ""
    """The line that people saw."""

    @property
    def what(self) -> str:
        """Which board gets what, for the audit."""
        board = f"{self.kind} {self.uid}".strip()
        digest = f" sha256 {self.sha256}" if self.sha256 else ""
        program = f", program {self.release} digest {self.program_sha256}" if self.program else ""
        return f"{board} at {self.port}, {self.name or 'the one before'}{digest}{program}"

    @property
    def is_new(self) -> bool:
        """Whether it is a board without an address, which is called by its port."""
        return is_port(self.robot)


@dataclass
class Plan:
    """What its code confirms: exactly this."""

    user: str
    word: Word
    act: Act
    target: str
    items: tuple[Item, ...]
    until: float
    """When it is over, on the clock of `Context.now`."""
    erase: bool = False
    backup: bool = False
    code: str = ""
    tries: int = TRIES

    @property
    def robots(self) -> list[str]:
        """Those that are stopped for it: a board without an address is no robot yet."""
        return [item.robot for item in self.items if not item.is_new]

    def shown(self, now: float) -> dict[str, object]:
        """What it would do, for programs of who made it."""
        shown = ("robot", "port", "kind", "name", "version", "size", "sha256", "before", "release", "is_new")
        return {
            "word": self.word,
            "act": self.act,
            "target": self.target,
            "code": self.code,
            "left_s": self.until - now,
            "erase": self.erase,
            "backup": self.backup,
            "items": [{key: getattr(item, key) for key in shown} for item in self.items],
        }


class Plans:
    """One of each kind for each user and target; kept in memory only."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str, str], Plan] = {}

    def add(self, plan: Plan) -> str:
        """Keep a plan in place of the one before; its code."""
        plan.code = "".join(secrets.choice(LETTERS) for _ in range(CODE_CHARS))
        self._plans[plan.user, plan.word, plan.target] = plan
        return plan.code

    def take(self, user: str, word: Word, target: str, code: str, now: float) -> Plan:
        """The plan that a code confirms, which it does once.

        Args:
            user: who says it.
            word: which kind.
            target: of the plan; "": of the only one that he has of this kind.
            code: as it was typed.
            now: on the clock of `Plan.until`.

        Raises:
            Refused: he has no such plan, or it is over, or the code is another one.
        """
        self._plans = {key: plan for key, plan in self._plans.items() if plan.until > now}
        own = [plan for plan in self._plans.values() if (plan.user, plan.word) == (user, word)]
        found = [plan for plan in own if target in ("", plan.target)]
        if len(found) != 1:
            what = (
                f"several plans of yours wait: `/{word} NAME confirm`" if found else "no plan of yours waits"
            )
            raise Refused(Code.FAILED, f"{what}; `/{word} {target or 'NAME'} plan` makes one")
        (plan,) = found
        if hmac.compare_digest(plan.code.encode(), code.upper().encode()):
            del self._plans[plan.user, plan.word, plan.target]
            return plan
        plan.tries -= 1
        if plan.tries:
            raise Refused(Code.DENIED, f"that is not the code of your plan; {plan.tries} more tries")
        del self._plans[plan.user, plan.word, plan.target]
        raise Refused(
            Code.DENIED, f"that is not its code either: the plan is void; `/{word} {plan.target} plan`"
        )

    def of(self, user: str, now: float) -> list[Plan]:
        """Those of a user that can be confirmed."""
        return [plan for plan in self._plans.values() if plan.user == user and plan.until > now]

    def void(self, robot: str) -> None:
        """Forget all plans for a robot: it is about to be another one."""
        self._plans = {
            key: plan for key, plan in self._plans.items() if all(item.robot != robot for item in plan.items)
        }
