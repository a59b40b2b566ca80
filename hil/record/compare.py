"""Where two recordings begin to differ, in words. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.events import CallUpdate, Delivery, Presence, Update
from boardtalk.hil.record.entries import AnyEntry, Gateway, Head, Link
from boardtalk.hil.record.names import Names
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import SYSTEM
from boardtalk.witness import Passed, Sent, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from boardtalk.sdk import Message, Status


PRESENCE: Final = "presence of "
RAGGED_S: Final = 0.1
"""Of what happens at a recording's very end, gateway and link process may not have told all."""


class Fact(NamedTuple):
    """Something that both recordings must have, at the same place of its sequence."""

    sequence: str
    """Facts of one sequence have an order: a conversation, a board, a module, somebody's inbox."""
    at: float
    words: str
    """For people; the same for the same facts."""


class Divergence(NamedTuple):
    """The first thing that is not as it was recorded."""

    after_s: float
    """Since the recording began."""
    where: str
    recorded: str
    """"" if there was nothing."""
    now: str
    """"" if there is nothing."""

    def __str__(self) -> str:
        recorded = self.recorded or "nothing"
        now = self.now or "nothing"
        text = f"after {self.after_s:.3f} s, {self.where}:\n  recorded: {recorded}\n  now:      {now}"
        return f"{text}\n  {spot}" if (spot := _spot(self.recorded, self.now)) else text


def divergence(recorded: Iterable[AnyEntry], now: Iterable[AnyEntry]) -> Divergence | None:
    """The first difference between what was and what is; None: they say the same."""
    then, later = list(recorded), list(now)
    began = next((entry.clock for entry in then if isinstance(entry, Head)), 0.0)
    ended = max((entry.at for entry in then if isinstance(entry, Gateway | Link)), default=began)
    names = Names(then)
    old, new = _sequences(then, names), _sequences(later, names)
    for facts in new.values():
        _cut(facts, ended - RAGGED_S, old)
    found = [each for key in old.keys() | new.keys() if (each := _first(key, old[key], new[key], began))]
    return min(found, default=None)


def _cut(facts: list[Fact], ended: float, old: dict[str, list[Fact]]) -> None:
    """Leave out what is not in the recording because that had ended."""
    while facts and facts[-1].at > ended and len(facts) > len(old.get(facts[-1].sequence, ())):
        facts.pop()


def _first(where: str, recorded: list[Fact], now: list[Fact], began: float) -> Divergence | None:
    for then, later in zip_longest(recorded, now):
        words = [fact.words if fact else "" for fact in (then, later)]
        if words[0] != words[1]:
            at = min(fact.at for fact in (then, later) if fact)
            return Divergence(at - began, where, *words)
    return None


def _sequences(entries: list[AnyEntry], names: Names) -> dict[str, list[Fact]]:
    sequences: dict[str, list[Fact]] = defaultdict(list)
    for entry in entries:
        for fact in _facts(entry, names):
            known = sequences[fact.sequence]
            if fact.sequence.startswith(PRESENCE) and known and known[-1].words == fact.words:
                continue  # told again since something else of it has changed, whenever that was seen
            known.append(fact)
    return sequences


def _facts(entry: AnyEntry, names: Names) -> Iterator[Fact]:
    match entry:
        case Gateway(Passed(at, sender, to, _, stages)):
            words = ", ".join(f"{stage.stage} {stage.verdict}" for stage in stages)
            yield Fact(f"chain, {sender} → {to}", at, words or "no module was asked")
        case Gateway(Sent(at, instance, message, status)):
            yield Fact(f"module {instance}", at, _said(message, status))
        case Gateway(Told(at, event)):
            yield from _told(at, event)
        case Link(api.Asked(at=at, request=request)):
            yield from _asked(at, request, names)


def _told(at: float, event: Any) -> Iterator[Fact]:
    match event:
        case Delivery(recipient, message, _, status):
            # the gateway's answers are in no order: a stop's overtakes what waits for the disk
            answer = f", to {message.refid}" if message.sender == SYSTEM else ""
            yield Fact(f"inbox of {recipient}, from {message.sender}{answer}", at, _said(message, status))
        case Update(recipient, message_id, to, status):
            detail = f" ({status.detail})" if status.detail else ""
            yield Fact(
                f"statuses for {recipient}, of message {message_id} to {to}", at, status.state + detail
            )
        case Presence(address, online, state):
            yield Fact(f"{PRESENCE}{address}", at, f"{'online' if online else 'offline'} {state}".strip())
        case CallUpdate(recipient, _, to, state, reason):
            yield Fact(f"calls of {recipient}", at, f"{to}: {state} {reason}".strip())


def _asked(at: float, request: Any, names: Names) -> Iterator[Fact]:
    """Renewals are left out: they follow the clock. Stops too: they go past the gateway."""
    match request:
        case api.Command(board=board, index=index, args=args):
            exact = f"id {request.id}, epoch {request.epoch}, lease {request.lease_ms} ms"
            said = f"{names.command(board, index, args)}; bytes {args.hex(' ')}; {exact}"
            yield Fact(f"board {board}", at, said)
        case api.SetPoint(board=board, index=index, values=values):
            said = f"{names.set_point(board, index, values)}; bytes {values.hex(' ')}"
            yield Fact(f"control {index} of {board}", at, said)
        case api.Cancel(board=board) | api.Rearm(board=board):
            yield Fact(f"board {board}", at, type(request).__name__.lower())


def _said(message: Message, status: Status | None) -> str:
    state = f", {status.state}" if status else ""
    return f"{message.sender} → {message.to}: {message.body!r}{state}"


def _spot(recorded: str, now: str) -> str:
    """The first byte that differs, of arguments."""
    old, new = (re.search(r"bytes ([0-9a-f ]+)", text) for text in (recorded, now))
    if old is None or new is None:
        return ""
    pairs = zip_longest(old[1].split(), new[1].split(), fillvalue="none")
    return next(
        (f"byte {at} of the arguments: {a} then, {b} now" for at, (a, b) in enumerate(pairs) if a != b), ""
    )
