"""What people ask for: `/flash` and `/ota`, read. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, Self

from boardtalk.sdk import Code, Refused
from boardtalk.sdk.hints import nearest

Word = Literal["flash", "ota"]

HELP: Final = {
    "flash": """\
Firmware onto a robot's board, or onto those of a group. First a plan, which touches nothing:
  /flash rover plan ESP32-1.27.bin     `erase` behind it: all files too; `backup`: save the flash before
It ends with a code. That carries out exactly this plan, once:
  /flash rover confirm K7M2P
Several at once: /flash rover,arm plan. What is under way ends with /flash rover cancel
A board without an address, by its port, which gets client and program too if they are named:
  /flash /dev/ttyUSB0 plan esp32-c3/ESP32-1.27.bin with rovers/1.3""",
    "ota": """\
A robot's program, or those of a group, over the line that it talks on:
  /ota rover status                    which release runs
  /ota rover plan 1.3                  what would be done; it ends with a code
  /ota rover rollback                  the same, to the release before
  /ota rover confirm K7M2P             carries out exactly what was planned, once
  /ota rover cancel                    ends it; the same plan goes on where it was""",
}
ACTS: Final = {
    "flash": ("plan", "confirm", "cancel"),
    "ota": ("plan", "confirm", "status", "rollback", "cancel"),
}
OPTIONS: Final = ("erase", "backup")
"""Words behind the image of `/flash … plan`."""
WITH: Final = "with"
"""Before the program that a board without an address gets."""
MAX_SHOWN: Final = 40
_NAME: Final = re.compile(r"[\w-][\w.-]*")


class Pair(str):
    """``rover: esp32-c3``: a robot, and the folder in which lies what it may get."""

    __slots__ = ("folder", "robot")

    robot: str
    folder: str

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: it is not of this form.
        """
        self = super().__new__(cls, text)
        self.robot, self.folder = (each.strip() for each in [*text.split(":", 1), ""][:2])
        if self.robot and _NAME.fullmatch(self.folder):
            return self
        raise ValueError("expected ROBOT: NAME, such as rover: esp32-c3")


class Request(NamedTuple):
    """One of them."""

    word: Word
    act: str
    """One of `ACTS`."""
    target: str
    """Robots and groups, with commas between; "": that of the sender's plan."""
    name: str = ""
    """Image or release; the code of `confirm`; "": none was named."""
    erase: bool = False
    backup: bool = False
    program: str = ""
    """``PROGRAM/RELEASE`` for a board without an address; "": none."""


def is_port(name: str) -> bool:
    """Whether a board is named by its port, since it has no address."""
    return "/" in name


def word(text: str) -> Word | None:
    """Which of the two a text begins with; None: it is for somebody else."""
    match text.split(maxsplit=1)[:1]:
        case ["/flash"]:
            return "flash"
        case ["/ota"]:
            return "ota"
    return None


def read(text: str) -> Request | None:
    """What a text asks for, that begins with a word of these; None: it asks for help.

    Raises:
        Refused: it can't be understood; says what to say instead.
    """
    asked = word(text)
    words = text.split()[1:]
    if asked is None or not words or words == ["help"]:
        return None
    if words[0] == "confirm" and len(words) == 2:
        return Request(asked, "confirm", "", words[1])
    target, act, *rest = [*words, ""][: len(words) + (len(words) == 1)]
    act = act.lower()
    if act not in ACTS[asked]:
        near = nearest(act, ACTS[asked])
        hint = f"did you mean `/{asked} {target} {near}`?" if near else f"`/{asked}` alone shows how"
        raise Refused(Code.FAILED, f"what about {target[:MAX_SHOWN]}? {hint}")
    by_port = is_port(target)
    if by_port and asked == "ota":
        raise Refused(Code.FAILED, "a board without an address has no program yet: `/flash` alone shows how")
    erase, backup = (asked == "flash" and act == "plan" and option in rest for option in OPTIONS)
    names = [each for each in rest if not (asked == "flash" and act == "plan" and each in OPTIONS)]
    program = names.pop() if by_port and act == "plan" and names[-2:-1] == [WITH] else ""
    if program:
        names.pop()
    if (
        len(names) > 1
        or (names and act in {"status", "rollback", "cancel"})
        or (act == "confirm" and not names)
    ):
        raise Refused(Code.FAILED, f"`/{asked} {target[:MAX_SHOWN]} {act}` is said otherwise: see `/{asked}`")
    target = target if by_port else target.lower()
    return Request(asked, act, target, "".join(names), erase, backup, program)
