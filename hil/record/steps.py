"""What people did to a robot in a recording, step by step, to be done again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from boardtalk.hil.record.entries import AnyEntry, Gateway
from boardtalk.modules.iot_bridge.language import commands
from boardtalk.sdk import BoardtalkError
from boardtalk.witness import Called, HungUp, Said, Sent, Steered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.hil.record.outcomes import Key, Outcomes
    from boardtalk.modules.iot_bridge.dictionary import Dictionary
    from boardtalk.sdk import Call, Message

BRIDGE: Final = "iot_bridge"
STOP_TOOK_S: Final = 0.005
"""How much earlier than its first effect a stop was said, at least."""


class Say(NamedTuple):
    """Somebody says something to the robot."""

    at: float
    message: Message
    key: Key
    """What it was called then."""


class Ended(NamedTuple):
    """A message has ended by now."""

    at: float
    say: Say


class Stop(NamedTuple):
    """Somebody stops it."""

    at: float
    by: str


class Ring(NamedTuple):
    """Somebody wants live control."""

    at: float
    call: Call


class Steer(NamedTuple):
    """Live values."""

    at: float
    call: Call
    values: str


class HangUp(NamedTuple):
    """The end of a call by the caller."""

    at: float
    call: Call


Step: TypeAlias = Say | Ended | Stop | Ring | Steer | HangUp


class Script(NamedTuple):
    """What is to be done again."""

    steps: tuple[Step, ...]
    """In their order."""
    left_out: int
    """Messages to the robot that a module had changed, or not let through."""

    @property
    def said(self) -> list[Say]:
        """The messages."""
        return [step for step in self.steps if isinstance(step, Say)]

    @property
    def users(self) -> tuple[str, ...]:
        """Who does something."""
        calling = [ring.call.sender for ring in self.rung]
        return tuple(dict.fromkeys([say.message.sender for say in self.said] + calling))

    @property
    def rung(self) -> list[Ring]:
        """The calls."""
        return [step for step in self.steps if isinstance(step, Ring)]


def script(entries: list[AnyEntry], then: Outcomes) -> Script:
    """What people did to the robot of these outcomes, and how it went on.

    What modules said in place of people is in it too: their part is played, they are not there.
    """
    said = [*_said(entries, then)]
    passed = [say for say in said if _reached(then, say.key)]
    steps: list[Step] = [*passed, *_calls(entries, then.robot)]
    steps += [Ended(outcome.at, say) for say in passed if (outcome := then.ended(say.key))]
    for at, notice in then.stops:
        took = max((each.ms for each in notice.stopped), default=0) / 1000
        steps.append(Stop(at - took - STOP_TOOK_S, notice.by))
    steps.sort(key=lambda step: step.at)
    return Script(tuple(steps), len(said) - len(passed))


def moving(play: Script, known: Dictionary | None) -> list[str]:
    """What of it does more than ask, to a robot with this dictionary; None: nobody knows."""
    texts = [say.message.body for say in play.said if known is None or _does(say.message.body, known)]
    texts += [f"a call of {ring.call.sender}" for ring in play.rung]
    return list(dict.fromkeys(texts))


def _does(text: str, known: Dictionary) -> bool:
    try:
        return commands.read(text, known).command.cls != "query"
    except BoardtalkError:  # it will be refused, or is a word of the gateway's such as `help`
        return False


def _said(entries: list[AnyEntry], then: Outcomes) -> Iterator[Say]:
    by_modules = {
        (seen.message.sender, seen.message.id or f"~{seen.message.row}")
        for seen in (entry.seen for entry in entries if isinstance(entry, Gateway))
        if isinstance(seen, Sent)
    }
    nameless = [key for key in then.passed if key[1].startswith("~") and key not in by_modules]
    for entry in entries:
        match entry:
            case Gateway(Said(_, message)) if message.to == then.robot:
                mine = [key for key in nameless if key[0] == message.sender]
                if message.id:
                    yield Say(message.accepted, message, (message.sender, message.id))
                elif mine:
                    nameless.remove(mine[0])
                    yield Say(message.accepted, message, mine[0])
            case Gateway(Sent(at, _, message, None)) if message.to == then.robot:
                yield Say(at, message, (message.sender, message.id or f"~{message.row}"))


def _reached(then: Outcomes, key: Key) -> bool:
    """Whether a message came to the robot as its sender had written it."""
    if key not in then.passed:
        return False
    stages = then.passed[key].stages
    replaced = any(stage.verdict == "replaced" for stage in stages)
    return bool(stages) and not replaced and (stages[-1].stage, stages[-1].verdict) == (BRIDGE, "consumed")


def _calls(entries: list[AnyEntry], robot: str) -> Iterator[Step]:
    calls: dict[str, Call] = {}
    for entry in entries:
        match entry:
            case Gateway(Called(at, call)) if call.to == robot:
                calls[call.id] = call
                yield Ring(at, call)
            case Gateway(Steered(at, id_, values)) if id_ in calls:
                yield Steer(at, calls[id_], values)
            case Gateway(HungUp(at, id_, _)) if id_ in calls:
                yield HangUp(at, calls[id_])
