"""The rules who may what, as an admin sees them, and what they say about one case."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from boardtalk import conf
from boardtalk.frontends.control.settings import Judged, RightsList, Rule
from boardtalk.people.policy import RIGHTS, Wish
from boardtalk.sdk import Action, Code, Refused
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from boardtalk.conf import Document
    from boardtalk.conf.changes import Pending
    from boardtalk.frontends.control.settings import Judge
    from boardtalk.people.directory import Directory

WORDS: dict[str, Action] = {
    "rearm": "rearm",
    "take": "motion",
    "help": "see",
    "watch": "see",
    "unwatch": "see",
}
"""What the bridge itself understands, for every robot."""


def listed(document: Document, pending: Pending | None) -> RightsList:
    """All rules that are in force."""
    policy = next(iter(document.of("policy")), None)
    return RightsList(
        roles=conf.policy(document).roles,
        where=policy.where if policy else "",
        rules=[
            Rule(block.name, block.where, conf.form(block, conf.GrantBlock)) for block in document.of("grant")
        ],
        blank=conf.form(conf.Block("grant"), conf.GrantBlock),
        rights=list(RIGHTS),
        pending=pending,
    )


def judged(directory: Directory, request: Judge) -> Judged:
    """Whether somebody may do something, and by which rule.

    Raises:
        Refused: there is no such user, or command.
    """
    user, robot = request.user, request.robot
    if directory.role(user) is None:
        raise Refused(Code.BAD_ADDRESS, f"there is no user {user!r}; `boardtalk user list`")
    action, command = _meant(directory, robot, request.command)
    person = directory.person(user)
    verdict = directory.judge(user, Wish(action, robot, command))
    if not verdict.granted:
        return Judged(granted=False, reason=verdict.reason)
    limits = next((each.limits for each in person.grants if each.title == verdict.rule), ())
    rule = verdict.rule or f"the role {person.role}"
    return Judged(granted=True, reason=f"by {rule}" + (f", while {', '.join(limits)}" if limits else ""))


def _meant(directory: Directory, robot: str, line: str) -> tuple[Action, str]:
    """The right that a line takes, and the command in it."""
    word = (line.split() or [""])[0].lower()
    contact = directory.contact(robot)
    known = {each.name: each.cls for each in contact.commands} if contact else {}
    if word in known:
        return cast("Action", known[word]), word
    actions = {**{each: each for each in get_args(Action)}, **WORDS}
    if word in actions:
        return actions[word], ""
    near = nearest(word, [*known, *actions])
    hint = f"did you mean {near}?" if near else f"there are: {', '.join([*known, *actions])}"
    raise Refused(Code.FAILED, f"{robot} has no command {word!r}, nor is that a right; {hint}")
