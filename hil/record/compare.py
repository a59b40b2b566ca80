"""Where two recordings begin to differ, in words. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.events import CallUpdate, Delivery, Presence, Update
from boardtalk.hil.record.entries import AnyEntry, Dictionary, Gateway, Head, Link
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.language.words import show
from boardtalk.modules.iot_bridge.service import api
from boardtalk.witness import Passed, Sent, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from boardtalk.sdk import Message

NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
PASSING: Final = frozenset({"accepted", "sent", "started"})
"""States that may come or not, by timing."""


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


def divergence(
    recorded: Iterable[AnyEntry], now: Iterable[AnyEntry], *, meaning: bool = False
) -> Divergence | None:
    """The first difference; None: they say the same.

    Args:
        recorded: what was.
        now: what is.
        meaning: compare what commands, answers and ends mean: measured values, ids and timing may differ.
    """
    then, later = list(recorded), list(now)
    began = next((entry.clock for entry in then if isinstance(entry, Head)), 0.0)
    names = _Names(then)
    old, new = _sequences(then, names, meaning=meaning), _sequences(later, names, meaning=meaning)
    found = [each for key in old.keys() | new.keys() if (each := _first(key, old[key], new[key], began))]
    return min(found, default=None)


def _first(where: str, recorded: list[Fact], now: list[Fact], began: float) -> Divergence | None:
    for then, later in zip_longest(recorded, now):
        words = [fact.words if fact else "" for fact in (then, later)]
        if words[0] != words[1]:
            at = min(fact.at for fact in (then, later) if fact)
            return Divergence(at - began, where, *words)
    return None


def _sequences(entries: list[AnyEntry], names: _Names, *, meaning: bool) -> dict[str, list[Fact]]:
    sequences: dict[str, list[Fact]] = defaultdict(list)
    for entry in entries:
        for fact in _facts(entry, names, meaning=meaning):
            sequences[fact.sequence].append(fact)
    return sequences


def _facts(entry: AnyEntry, names: _Names, *, meaning: bool) -> Iterator[Fact]:
    match entry:
        case Gateway(Passed(at, sender, to, _, stages)):
            words = ", ".join(f"{stage.stage} {stage.verdict}" for stage in stages)
            yield Fact(f"chain, {sender} → {to}", at, words or "no module was asked")
        case Gateway(Sent(at, instance, message, status)):
            state = f", {status.state}" if status else ""
            yield Fact(f"module {instance}", at, f"{_message(message, meaning=meaning)}{state}")
        case Gateway(Told(at, event)):
            yield from _told(at, event, meaning=meaning)
        case Link(api.Asked(at=at, request=request)) if not isinstance(request, api.Renew):
            yield from _asked(at, request, names, meaning=meaning)


def _told(at: float, event: Any, *, meaning: bool) -> Iterator[Fact]:
    match event:
        case Delivery(recipient, message, _, status):
            state = f", {status.state}" if status else ""
            yield Fact(
                f"inbox of {recipient}, from {message.sender}",
                at,
                f"{_message(message, meaning=meaning)}{state}",
            )
        case Update(recipient, message_id, to, status) if not (meaning and status.state in PASSING):
            name = "" if meaning else f" {message_id}"
            detail = f" ({status.detail})" if status.detail else ""
            said = f"message{name} to {to}: {status.state}{detail}"
            yield Fact(
                f"statuses for {recipient}, of messages to {to}", at, _plain(said) if meaning else said
            )
        case Presence(address, online, state) if not meaning:
            yield Fact(f"presence of {address}", at, f"{'online' if online else 'offline'} {state}".strip())
        case CallUpdate(recipient, _, to, state, reason):
            yield Fact(f"calls of {recipient}", at, f"{to}: {state} {reason}".strip())


def _asked(at: float, request: Any, names: _Names, *, meaning: bool) -> Iterator[Fact]:
    match request:
        case api.Command(board=board, index=index, args=args):
            said = names.command(board, index, args)
            exact = (
                "" if meaning else f"; id {request.id}, epoch {request.epoch}, lease {request.lease_ms} ms"
            )
            yield Fact(
                f"board {board}", at, f"{said}{exact}" if meaning else f"{said}; bytes {args.hex(' ')}{exact}"
            )
        case api.SetPoint(board=board, index=index, values=values):
            yield Fact(f"control {index} of {board}", at, f"set-point, bytes {values.hex(' ')}")
        case api.Cancel(board=board) | api.Rearm(board=board):
            yield Fact(f"board {board}", at, type(request).__name__.lower())


def _message(message: Message, *, meaning: bool) -> str:
    said = f"{message.sender} → {message.to}: {message.body!r}"
    return _plain(said) if meaning else said


def _plain(text: str) -> str:
    """Without measured values."""
    return NUMBER.sub("#", text)


def _spot(recorded: str, now: str) -> str:
    """The first byte that differs, of arguments."""
    old, new = (re.search(r"bytes ([0-9a-f ]+)", text) for text in (recorded, now))
    if old is None or new is None:
        return ""
    pairs = zip_longest(old[1].split(), new[1].split(), fillvalue="none")
    return next(
        (f"byte {at} of the arguments: {a} then, {b} now" for at, (a, b) in enumerate(pairs) if a != b), ""
    )


class _Names:
    """What boards call their commands."""

    def __init__(self, entries: Iterable[AnyEntry]) -> None:
        self._dictionaries: dict[str, str] = {}
        self._boards: dict[str, str] = {}
        for entry in entries:
            match entry:
                case Dictionary(hash_, text):
                    self._dictionaries[hash_] = text
                case Link(api.Heard(event=api.BoardChanged(name=name, dictionary=hash_))) if hash_:
                    self._boards[name] = hash_

    def command(self, board: str, index: int, args: bytes) -> str:
        """``forward distance 20 cm``."""
        try:
            command = parse(self._dictionaries[self._boards[board]].encode()).commands[index]
            return f"{command.name} {show(command.args_format.unpack(args), command.args)}".rstrip()
        except (KeyError, IndexError, DictionaryError):
            return f"command {index}"
