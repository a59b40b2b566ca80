"""What became of each message to a robot, from a recording that is read entry by entry."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.events import CallUpdate, Delivery, Update
from boardtalk.hil.record.entries import AnyEntry, Gateway, Link
from boardtalk.hil.record.names import Names
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import Outcome as End
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import CallState, State, Status
from boardtalk.witness import Passed, Told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.iot_bridge.dictionary import Channel, Value

ID_MASK: Final = 0xFFFF_FFFF
"""A command's id is its message's row, as far as it fits."""
STOP: Final = "~0"
"""A stop's name, which is in no ledger."""
Key = tuple[str, str]
"""A message: who sent it, and by which name statuses come."""


class Outcome(NamedTuple):
    """How a message ended."""

    at: float
    state: State
    reason: str
    """In words, if it did not end well."""
    answer: str
    """What its sender was told."""
    command: str
    """What the board was asked, decoded; "" if nothing."""
    values: tuple[tuple[Value, Any], ...]
    """What the board returned."""


class Outcomes:
    """All of them, and what the board told by itself.

    Args:
        robot: whose.
        entries: of the recording, as far as there are any yet.
    """

    def __init__(self, robot: str, entries: Iterable[AnyEntry] = ()) -> None:
        self.robot = robot
        self.names = Names()
        self.passed: dict[Key, Passed] = {}
        """How messages went through the chain."""
        self.calls: dict[str, list[CallUpdate]] = defaultdict(list)
        """What callers were told, by call."""
        self.stops: list[tuple[float, api.StopNotice]] = []
        self.reports: dict[tuple[api.ReportKind, str], list[tuple[float, dict[str, Any]]]] = defaultdict(list)
        """Telemetry and events, by kind and name."""
        self._ended: dict[Key, tuple[float, Status]] = {}
        self._answers: dict[Key, str] = {}
        self._nameless: dict[str, deque[Key]] = defaultdict(deque)
        """Those that had no id and wait for their answer, by sender."""
        self._commands: dict[int, api.Command] = {}
        self._results: dict[int, api.Result] = {}
        for entry in entries:
            self.feed(entry)

    def feed(self, entry: AnyEntry) -> None:
        """Take one more entry."""
        self.names.learn(entry)
        match entry:
            case Gateway(Passed() as passed) if passed.to == self.robot:
                self.passed[passed.sender, passed.name] = passed
            case Gateway(Told(at, event)):
                self._told(at, event)
            case Link(api.Asked(request=api.Command() as command)) if command.board == self.robot:
                self._commands.setdefault(command.id, command)
            case Link(api.Heard(at=at, event=event)):
                self._heard(at, event)

    def has_ended(self, key: Key) -> bool:
        """Whether a message has, and its answer has come."""
        return key in self._ended and key in self._answers

    def ended(self, key: Key) -> Outcome | None:
        """How a message ended; None: it has not, or its answer has not come."""
        if not self.has_ended(key):
            return None
        at, status = self._ended[key]
        id_ = self.passed[key].row & ID_MASK if key in self.passed else 0
        command, result = self._commands.get(id_), self._results.get(id_)
        asked = self.names.command(self.robot, command.index, command.args) if command else ""
        values = self._values(command, result) if command and result else ()
        return Outcome(at, status.state, status.detail, self._answers[key], asked, values)

    def channels(self) -> dict[tuple[api.ReportKind, str], Channel]:
        """What the board may tell by itself, by kind and name."""
        known = self.names.dictionary(self.robot)
        if known is None:
            return {}
        declared = {api.ReportKind.TELEMETRY: known.telemetry, api.ReportKind.EVENT: known.events}
        return {(kind, each.name): each for kind, channels in declared.items() for each in channels}

    def _told(self, at: float, event: Any) -> None:
        match event:
            case Update(sender, name, to, status) if to == self.robot and status.state.terminal:
                if (sender, name) not in self._ended and name.startswith("~") and name != STOP:
                    self._nameless[sender].append((sender, name))
                self._ended.setdefault((sender, name), (at, status))
            case Delivery(recipient, message, _, status) if status is not None:
                if message.refid:
                    self._answers.setdefault((recipient, message.refid), message.body)
                elif self._nameless[recipient]:
                    self._answers[self._nameless[recipient].popleft()] = message.body
            case CallUpdate(to=to) if to == self.robot:
                self.calls[event.call].append(event)

    def _heard(self, at: float, event: Any) -> None:
        match event:
            case api.Result(board=self.robot):
                self._results.setdefault(event.id, event)
            case api.StopNotice(stopped=stopped) if self.robot in [each.board for each in stopped]:
                self.stops.append((at, event))
            case api.Report(board=self.robot):
                self._reported(at, event)

    def _reported(self, at: float, report: api.Report) -> None:
        known = self.names.dictionary(self.robot)
        if known is None:
            return
        channels = known.telemetry if report.kind is api.ReportKind.TELEMETRY else known.events
        try:
            channel = channels[report.index]
            values = channel.format.unpack(report.data)
        except (IndexError, DictionaryError):
            return
        self.reports[report.kind, channel.name].append((at, values))

    def _values(self, command: api.Command, result: api.Result) -> tuple[tuple[Value, Any], ...]:
        known = self.names.dictionary(self.robot)
        if known is None or result.outcome is not End.DONE or command.index >= len(known.commands):
            return ()
        declared = known.commands[command.index]
        try:
            values = declared.returns_format.unpack(result.data)
        except DictionaryError:
            return ()
        return tuple((each, values[each.name]) for each in declared.returns)


def over(updates: list[CallUpdate]) -> bool:
    """Whether a call has ended."""
    return any(update.state.over for update in updates)


def answered(updates: list[CallUpdate]) -> bool:
    """Whether a call was answered."""
    return any(update.state is CallState.ANSWERED for update in updates)
