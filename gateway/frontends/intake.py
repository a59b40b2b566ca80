"""The way in that all front-ends share: stop words first, then the hub."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk import envelope, stop
from boardtalk.sdk import SYSTEM, Code, Message, Refused, ServiceError, State, Status, stopwords
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from boardtalk.hub.hub import Hub
    from boardtalk.hub.sessions import Session
    from boardtalk.stop import Stopped

MAX_STOPS: Final = 100
"""Stops whose answers are waited for at once; of more, only the stop itself is passed on."""

log = structlog.get_logger()


class Intake:
    """Takes what users send. Use as an async context manager: it owns the stops under way."""

    def __init__(self, hub: Hub, state: Path) -> None:
        self._hub = hub
        self._state = state
        self._last: dict[str, str] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._kept: socket.socket | None = stop.door()
        """For a stop when no descriptors are left."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(*self._stops)
        if self._kept:
            self._kept.close()

    async def room(self) -> None:
        """Wait until the hub takes more."""
        await self._hub.room()

    def receive(self, sender: str, payload: bytes, via: str, session: Session | None = None) -> None:
        """Take a payload in either form of :mod:`boardtalk.envelope`, from the front-end `via`.

        In a session of `sender`'s, if it has them: his others are shown what he says.
        Never raises: refusals go to `sender`.
        """
        if len(payload) <= stopwords.MAX_LINE_CHARS:
            text = payload.decode("utf-8", "replace")
            target = stopwords.target(text)
            if target is None:
                to = None if sender in self._last else stopwords.ALL
                target = stopwords.meant(text, to, self._moves)
            if target is not None and self._is_stop(target):
                self._stop_known(sender, target)
                return
        try:
            message = envelope.read(payload, sender, self._last.get(sender))
        except Refused as refused:
            if self.stop_unread(sender, payload):
                return
            self._hub.turn_away(
                Message(sender=sender, to=SYSTEM, body="", id=envelope.claimed_id(payload)), refused
            )
            return
        if not (message.to == SYSTEM and message.body.startswith("/")):  # said in passing
            self._last[sender] = message.to
        self.accept(message.with_(via=via), session)

    def accept(self, message: Message, session: Session | None = None) -> None:
        """Take a message that has been read already."""
        if len(message.body) <= stopwords.MAX_LINE_CHARS and self._is_stop(message.to):
            target = stopwords.meant(message.body, message.to, self._moves)
            if target is not None:
                self._start_stop(message.with_(to=target or SYSTEM))
                return
        try:
            self._hub.accept(message, session)
        except Refused as refused:
            self._hub.turn_away(message, refused)

    def stop_unread(self, sender: str, payload: bytes) -> bool:
        """Stop if a payload that is no message, or may not be one, is plainly a stop; whether it is."""
        text, to = envelope.gist(payload)
        if not to and payload.lstrip()[:1] != b"{":
            to = (
                stopwords.ALL if stopwords.target(text) is not None else self._last.get(sender, stopwords.ALL)
            )
        if not text or len(text) > stopwords.MAX_LINE_CHARS or not self._is_stop(to):
            return False
        target = stopwords.meant(text, to, self._moves)
        if target is not None:
            self._stop_known(sender, target, envelope.claimed_id(payload))
        return target is not None

    def stop(self, sender: str, payload: bytes) -> None:
        """Take a payload of the stop lane: whatever it says, it stops; a robot in it narrows that down."""
        target = stopwords.target(payload.decode("utf-8", "replace"))
        if target is None and payload.lstrip()[:1] == b"{":
            target = self._named(sender, payload)
        self._stop_known(sender, target or stopwords.ALL, envelope.claimed_id(payload))

    def _named(self, sender: str, payload: bytes) -> str:
        """The robot that an envelope of the stop lane is for; `ALL` if it can't be read."""
        try:
            message = envelope.read(payload, sender, None)
        except Refused:
            return stopwords.ALL
        meant = stopwords.meant(message.body[: stopwords.MAX_LINE_CHARS], message.to, self._moves)
        return message.to if meant is None else meant

    def _stop_known(self, sender: str, target: str, message_id: str = "") -> None:
        to = target if self._moves(target) else SYSTEM
        self._start_stop(Message(sender=sender, to=to, body="stop", id=message_id))

    def _is_stop(self, target: str) -> bool:
        """Whether a stop word to `target` is one: said to people alone it is just a word.

        To a name that nobody has it stops everything: in doubt, stop.
        """
        kind = self._hub.directory.kind(target)
        return kind is None or not kind.is_people or self._moves(target)

    def _moves(self, address: str) -> bool:
        """Whether it is a robot, or a group with one in it."""
        return bool(self._hub.directory.robots(address))

    def _start_stop(self, message: Message) -> None:
        """Stop now; tell sender, history and audit afterwards."""
        began = time.monotonic()
        try:
            robots = self._hub.directory.robots(message.to)
            door = stop.begin(self._state, robots, message.sender, self._door())
        except ServiceError as error:
            self._keep_door()
            self._tell_stop(message, began, error)
            return
        if len(self._stops) >= MAX_STOPS:
            self._leave(door)
            return
        task = asyncio.create_task(self._stop(message, began, door), name=f"stop by {message.sender}")
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)
        task.add_done_callback(lambda _: self._leave(door))

    def _door(self) -> socket.socket | None:
        try:
            return stop.door()
        except ServiceError:
            kept, self._kept = self._kept, None
            return kept

    def _leave(self, door: socket.socket) -> None:
        door.close()
        self._keep_door()

    def _keep_door(self) -> None:
        if self._kept is None:
            with suppress(ServiceError):
                self._kept = stop.door()

    async def _stop(self, message: Message, began: float, door: socket.socket) -> None:
        try:
            self._tell_stop(message, began, await stop.answer(door))
        except ServiceError as error:
            self._tell_stop(message, began, error)

    def _tell_stop(self, message: Message, began: float, end: tuple[Stopped, ...] | ServiceError) -> None:
        status = Status(code=Code.FAILED, state=State.UNKNOWN)
        if isinstance(end, ServiceError):
            text = told = f"STOP NOT CARRIED OUT: {end}. Use the hardware stop"
        else:
            text = stop.describe(end)
            told = stop.describe(end, partial(self._hub.directory.sees, message.sender))
            if all(each.confirmed for each in end):
                status = Status(code=Code.DONE, state=State.DONE)
        log.warning("stop", by=message.sender, robot=message.to, result=text,
                    ms=round((time.monotonic() - began) * 1000, 1))  # fmt: skip
        self._hub.stopped(message, text, status, told)
