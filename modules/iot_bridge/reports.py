"""What robots report by themselves: telemetry to those who watch it, events to all who talked to them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.language import commands, manual
from boardtalk.modules.iot_bridge.language.words import line
from boardtalk.modules.iot_bridge.robots import MAX_LISTENERS, Robot
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import Code, Context, Message, Refused, State
from boardtalk.sdk.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.modules.iot_bridge.dictionary import Channel
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.modules.iot_bridge.speech import Speech

WARNING: Final = 30
"""Log lines of this level and above, and console output (0), are shown in chat."""

MISREAD_AGAIN_S: Final = 10.0
"""Reports of a board that make no sense are logged once in so long: its program must not fill the disk."""


class Reports:
    """Who sees which."""

    def __init__(self, context: Context, roster: Roster, speech: Speech) -> None:
        self._context = context
        self._roster = roster
        self._speech = speech
        self._misread = defaultdict[str, Bucket](lambda: Bucket(1, 1 / MISREAD_AGAIN_S, context.now))
        """By robot, how often it is logged that its reports make no sense."""

    def watch(self, robot: Robot, message: Message, name: str, *, start: bool) -> None:
        """Show a telemetry channel to the sender as it comes, or no longer.

        Raises:
            Refused: there is no such channel.
        """
        if robot.channel(name) is None:
            known = ", ".join(channel.name for channel in robot.require_dictionary().telemetry)
            problem = f"{robot.name} reports no {name!r}" if name else "which channel?"
            raise Refused(Code.FAILED, f"{problem}; it reports: {known or 'nothing'}")
        watchers = robot.watchers.setdefault(name, set())
        robot.shown.pop(name, None)  # the next report is shown, also if it is like the last
        if not start:
            watchers.discard(message.sender)
        elif len(watchers) < MAX_LISTENERS:
            watchers.add(message.sender)
        text = f"{name} is shown as it comes" if start else f"{name} is no longer shown"
        self._speech.end(message, (Code.DONE, State.DONE), text)

    def log(self, said: api.LogLine) -> None:
        """Pass on what a board logged or printed."""
        self._publish(said.board, {manual.log_series(said.level): said.text})
        if said.level in (0, *range(WARNING, 256)):
            self._speech.tell(said.board, said.text)

    def show(self, event: api.Report) -> None:
        """Pass one on."""
        robot = self._roster.robots.get(event.board)
        if robot is None or robot.dictionary is None:
            return
        telemetry = event.kind is api.ReportKind.TELEMETRY
        channels: tuple[Channel, ...] = robot.dictionary.telemetry if telemetry else robot.dictionary.events
        if event.index >= len(channels):
            return
        channel = channels[event.index]
        try:
            values = channel.format.unpack(event.data)
        except DictionaryError as error:
            if self._misread[robot.name].take():
                self._context.log.warning("report not understood", board=robot.name, error=str(error))
            return
        if telemetry:
            self._publish(robot.name, _measured(channel, values))
        listeners = robot.watchers.get(channel.name, set()) if telemetry else robot.followers
        if telemetry and not listeners:
            return
        text = commands.show(values, channel.values, of=channel.name)
        if not telemetry:
            self._publish(robot.name, {f"{manual.EVENT}{channel.name}": text})
        if not telemetry or robot.is_news(channel.name, text, self._context.now()):
            self._speech.say(robot.name, listeners, f"{channel.name}: {text}" if text else channel.name)

    def _publish(self, robot: str, values: Mapping[str, float | str]) -> None:
        with suppress(Refused):  # it has no address, or too many series
            self._context.publish(robot, values)


def _measured(channel: Channel, values: Mapping[str, Any]) -> dict[str, float | str]:
    """Values of a telemetry channel, by the names of their series; None is no value."""
    named = ((manual.series_name(channel, each), values[each.name]) for each in channel.values)
    return {name: line(got) if isinstance(got, str) else got for name, got in named if got is not None}
