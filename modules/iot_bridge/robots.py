"""What the bridge knows of each robot: how it is, what it understands, what it is doing."""

from __future__ import annotations

import itertools
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import MAX_COMMANDS, Outcome
from boardtalk.modules.iot_bridge.language import commands, manual
from boardtalk.modules.iot_bridge.language.words import line
from boardtalk.modules.iot_bridge.service.api import STOPPED_FIRST, BoardChanged, BoardState
from boardtalk.sdk import Code, Contact, Kind, Message, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.modules.iot_bridge.dictionary import Channel, Command, Dictionary
    from boardtalk.modules.iot_bridge.service import api
    from boardtalk.modules.iot_bridge.service.client import LinkClient

MAX_LISTENERS: Final = 100
"""People told of one robot's events, or of one telemetry channel."""
WATCH_PAUSE_S: Final = 1.0
"""Between two reports of one channel: chat is for people, who read no faster."""
PROGRESS_PAUSE_S: Final = 0.5
"""Between two reports of how far a command is."""
ID_MASK: Final = 0xFFFF_FFFF
TAKEN_S: Final = 30.0
"""For so long at most a robot is kept for who took it over, so that he can re-arm it and move it."""
UNSTORED: Final = 1 << 31
"""Added to the ids of commands that are not in the ledger."""


@dataclass(slots=True)
class Running:
    """A command under way."""

    message: Message
    request: api.Command
    """What the link process was told of it."""
    index: int | None
    """In the board's dictionary; None: not known any more."""
    until: float = 0.0
    """When it must have started, on the clock of `Context.now`."""
    boot: int = 0
    """The board's boot nonce when it was taken; 0: not known."""
    sent: bool = False
    """Whether some link process was told."""
    link: LinkClient | None = None
    """The one that was told; None: the next one has to be."""
    told: float = 0.0
    """When it was told last how far it is, on the clock of `Context.now`."""

    def is_news(self, now: float) -> bool:
        """Whether people are to hear at `now` how far it is; if so, it is noted."""
        if now - self.told < PROGRESS_PAUSE_S:
            return False
        self.told = now
        return True

    def next(self, board: BoardChanged, now: float) -> api.Command | tuple[Outcome, str] | None:
        """What a new link process is to be told, or how the command ends; None: that is not clear yet.

        It has to find out what became of a command that the board may have. What has not begun may still do
        so within its time, but for motion, and if neither a stop nor a restart came meanwhile.
        """
        late = self.until <= now or bool(self.request.lease_ms)
        stopped = self.boot != board.boot or self.request.epoch not in {None, board.epoch}
        left_ms = 0 if late or stopped else int((self.until - now) * 1000)
        if self.sent:
            return replace(self.request, ttl_ms=left_ms, boot=self.boot)
        if late:
            return Outcome.EXPIRED, "the link process was away"
        if stopped:
            return Outcome.REJECTED, STOPPED_FIRST
        return replace(self.request, ttl_ms=left_ms) if board.state is not BoardState.OFFLINE else None


@dataclass(slots=True)
class Robot:
    """One robot."""

    board: BoardChanged
    here: bool = True
    """Whether the link process knows of it."""
    between: bool = False
    """Whether it was ready until the link process went away, and may be again soon."""
    dictionary: Dictionary | None = None
    overrun: str = ""
    """How far it rolls on when nobody is left who could stop it, in words; "": nobody knows."""
    stopped: float = 0.0
    """When its epoch rose last, by a stop or a restart; the clock of `Message.accepted`."""
    running: dict[int, Running] = field(default_factory=dict)
    steered_by: str = ""
    """Who has a call with it."""
    held_by: str = ""
    """Who has it for himself, as everybody was told last."""
    taken_by: str = ""
    """Who took it over last."""
    taken_until: float = 0.0
    """Until then it is kept for him, on the clock of `Context.now`."""
    followers: set[str] = field(default_factory=set)
    """Who talked to it: they hear its events and log lines."""
    watchers: dict[str, set[str]] = field(default_factory=dict)
    """Who asked for telemetry, by channel."""
    shown: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By channel, the last text shown to them, and when."""
    _unstored: Iterator[int] = field(default_factory=lambda: itertools.count(secrets.randbelow(UNSTORED)))

    @property
    def name(self) -> str:
        """Its address."""
        return self.board.name

    @property
    def contact(self) -> Contact:
        """Its entry in the directory."""
        known = self.dictionary
        return Contact(
            address=self.name,
            kind=Kind.ROBOT,
            online=self.board.state in (BoardState.READY, BoardState.LATCHED),
            about=line(known.about or known.name) if known else self.board.detail,
            state=self.board.state,
            commands=commands.infos(known) if known else (),
            controls=manual.controls(known) if known else (),
            series=manual.series(known) if known else (),
            details={name: text for name, text in self._details() if text},
            holder=self.held_by,
        )

    def _details(self) -> Iterator[tuple[str, str]]:
        yield "firmware", self.board.firmware
        yield "port", self.board.port
        yield "uid", self.board.uid
        yield "rolls on", self.overrun
        yield "detail", line(self.board.detail)

    def update(self, board: BoardChanged, now: float) -> None:
        """Note how it is at `now`. A link process that has not met it knows neither start nor epoch."""
        before = self.board
        if not board.boot:
            board = replace(board, boot=before.boot, epoch=before.epoch)
        stops = board.state is BoardState.LATCHED and before.state is not BoardState.LATCHED
        if stops or (board.boot, board.epoch) != (before.boot, before.epoch):
            self.stopped = now
        self.between = self.between and board.state is BoardState.OFFLINE
        self.board, self.here = board, True

    def gone(self) -> None:
        """The link process is away: the next one has to ask what became of what runs."""
        self.between = self.board.state is not BoardState.OFFLINE
        self.here = False
        for running in self.running.values():
            running.link = None
        self.board = replace(self.board, state=BoardState.OFFLINE, detail="the link process went away")

    def require_dictionary(self) -> Dictionary:
        """What it understands.

        Raises:
            Refused: it never answered, so nobody knows.
        """
        if self.dictionary is None:
            raise Refused(Code.OFFLINE, self._away())
        return self.dictionary

    def require_ready(self, *, soon: bool = False) -> None:
        """See that a command can be sent now, or `soon`: when there is a link process again.

        Raises:
            Refused: it is offline, or has too many commands under way.
        """
        if self.board.state not in (BoardState.READY, BoardState.LATCHED) and not (soon and self.between):
            raise Refused(Code.OFFLINE, self._away())
        if len(self.running) >= MAX_COMMANDS:
            raise Refused(
                Code.BUSY, f"{self.name} has {MAX_COMMANDS} commands under way; try again in a moment"
            )

    def require_newer(self, message: Message) -> None:
        """See that no stop came after a message, which may have waited for a slow module.

        Raises:
            Refused: one did; what was said before it is not done, whatever became of the stop.
        """
        if message.accepted < self.stopped:
            raise Refused(Code.FAILED, STOPPED_FIRST)

    def holder(self, now: float) -> str:
        """Who has it for himself at `now`: took it over, steers it, or has it moving; "" if nobody."""
        if now < self.taken_until:
            return self.taken_by
        return self.steered_by or next(filter(None, map(self._mover, self.running.values())), "")

    def require_hold(self, user: str, now: float) -> None:
        """See that nobody else has it.

        Raises:
            Refused: somebody does, and his sequence of commands is not to be mixed with others'.
        """
        holder = self.holder(now)
        if holder not in ("", user):
            cure = f"`{self.name}: take over` stops it and gives it to you"
            raise Refused(Code.BUSY, f"{holder} has {self.name} just now; {cure}")

    def take_over(self, user: str, now: float) -> str:
        """Keep it for a user from now on; who had it."""
        before = self.holder(now)
        self.taken_by, self.taken_until = user, now + TAKEN_S
        return before

    def armed(self, epoch: int) -> None:
        """Note that it may move again since this epoch, of which it tells by itself a moment later."""
        if (self.board.state, self.board.epoch) == (BoardState.LATCHED, epoch):
            self.board = replace(self.board, state=BoardState.READY)

    def command_id(self, message: Message) -> int:
        """The id of a message's command on the wire: its ledger row's low 32 bits."""
        return message.row & ID_MASK or UNSTORED + next(self._unstored) % UNSTORED

    def declared(self, running: Running) -> Command | None:
        """What a command under way was declared as; None: nobody knows any more which one it was."""
        if self.dictionary is None:
            return None
        if running.index is None:
            with suppress(commands.CommandError, DictionaryError):
                running.index = commands.read(running.message.body, self.dictionary).index
        known = running.index is not None and running.index < len(self.dictionary.commands)
        return self.dictionary.commands[running.index or 0] if known else None

    def commands_of(self, user: str, message_id: str = "") -> dict[int, Running]:
        """The commands under way that a user sent, by their ids on the wire.

        With the id of a message: only those of his that have it, or if there are none, of others'.
        """
        own = {key: running for key, running in self.running.items() if running.message.sender == user}
        if not message_id:
            return own
        named = (_named(running, message_id) for running in (own, self.running))
        return next(filter(None, named), {})

    def follow(self, user: str) -> None:
        """Tell a user of events and log lines from now on."""
        if len(self.followers) < MAX_LISTENERS:
            self.followers.add(user)

    def is_news(self, channel: str, text: str, now: float) -> bool:
        """Whether telemetry is worth showing to people at `now`, monotonic seconds; if so, it is noted."""
        last, at = self.shown.get(channel, ("", -WATCH_PAUSE_S))
        if text == last or now - at < WATCH_PAUSE_S:
            return False
        self.shown[channel] = text, now
        return True

    def channel(self, name: str) -> Channel | None:
        """A telemetry channel, by name."""
        channels = self.dictionary.telemetry if self.dictionary else ()
        return next((channel for channel in channels if channel.name == name), None)

    def _mover(self, running: Running) -> str:
        """Who moves it by a command under way; "" if that moves nothing."""
        command = self.declared(running)
        return running.message.sender if command and command.cls == "motion" else ""

    def _away(self) -> str:
        detail = self.board.detail or "it does not answer"
        return f"{self.name} is offline: {detail}"


def unseen(name: str) -> Robot:
    """A robot that was here before the gateway was started again, and may come back."""
    board = BoardChanged(
        name=name,
        uid="",
        port="",
        firmware="",
        state=BoardState.OFFLINE,
        epoch=0,
        dictionary="",
        detail="not seen since the gateway was started",
    )
    return Robot(board, here=False)


def _named(running: dict[int, Running], message_id: str) -> dict[int, Running]:
    return {
        key: each for key, each in running.items() if message_id in (each.message.id, f"~{each.message.row}")
    }
