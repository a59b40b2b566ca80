"""The entry of a robot as one person gets it: what he may there, in the ranges that he may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from boardtalk.people.policy import RIGHTS, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.people.policy import Limit, Person, Policy
    from boardtalk.sdk import Action, ArgumentInfo, CommandInfo, Contact


def entry(contact: Contact, policy: Policy, person: Person) -> Contact:
    """A robot's entry for somebody: what pages offer. What he says is judged all the same."""
    robot = contact.address
    return replace(
        contact,
        rights=tuple(each for each in RIGHTS if policy.judge(person, Wish(each, robot)).granted),
        commands=tuple(_command(policy, person, robot, each, each.cls) for each in contact.commands),
        controls=tuple(_command(policy, person, robot, each, "drive") for each in contact.controls),
    )


def _command(policy: Policy, person: Person, robot: str, command: CommandInfo, action: str) -> CommandInfo:
    wanted = cast("Action", action)
    verdict = policy.judge(person, Wish(wanted, robot, command.name))
    if not verdict.granted:
        return replace(command, allowed=False)
    if not verdict.rule:
        return command
    ways = [each.limits for each in person.grants if each.is_of(robot) and each.covers(wanted, command.name)]
    return replace(command, args=tuple(_narrowed(each, ways) for each in command.args))


def _narrowed(argument: ArgumentInfo, ways: Sequence[Sequence[Limit]]) -> ArgumentInfo:
    """An argument in the range that takes in whatever one of several grants lets through."""
    own = [[each for each in limits if each.argument == argument.name] for limits in ways]
    if not all(own):
        return argument
    lowest = [[each.bound for each in limits if each.relation == ">="] for limits in own]
    highest = [[each.bound for each in limits if each.relation == "<="] for limits in own]
    words = [[each.choices for each in limits if each.relation == "="] for limits in own]
    low = [min(map(max, lowest))] if all(lowest) else []
    high = [max(map(min, highest))] if all(highest) else []
    fine = frozenset[str]().union(*(frozenset.intersection(*each) for each in words)) if all(words) else None
    return replace(
        argument,
        min=max([*low, *([] if argument.min is None else [argument.min])], default=None),
        max=min([*high, *([] if argument.max is None else [argument.max])], default=None),
        choices=tuple(each for each in argument.choices if fine is None or each in fine),
    )
