"""Calls between people and robots: who controls what, since when, and whether he still does."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk.events import CallAsked, CallDecided, CallUpdate
from boardtalk.people.policy import Wish
from boardtalk.people.quota import Quota
from boardtalk.sdk import CONSUMED, Call, CallState, Code, Kind, Refused
from boardtalk.witness import Called, HungUp, Steered

if TYPE_CHECKING:
    from boardtalk.hub.hub import Hub

RING_S: Final = 5.0
"""Modules that take longer to decide about a call have refused it."""
SILENCE_S: Final = 2.0
"""A call without a set-point for so long has ended. (The board itself stops earlier: at its lease.)"""
LOOK_EVERY_S: Final = 0.2
ASK_S: Final = 15.0
"""Who is asked to hand over and says nothing for so long has said no."""
KEPT_S: Final = 5.0
"""For so long a robot that was handed over is kept for who asked for it."""
MAX_ASKS: Final = 10
"""For one robot."""
MAX_SET_POINT_BYTES: Final = 1024

log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """A call under way."""

    call: Call
    holder: object
    """The front-end's connection: who else knows the id can't steer."""
    answered_by: str = ""
    """Name of the module instance; "" while it rings."""
    heard: float = 0.0
    """When the last set-point came, monotonic."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants a call that another one has."""

    id: str
    by: str
    to: str
    holder: str
    until: float
    """UTC seconds."""
    timer: asyncio.TimerHandle


class Calls:
    """All calls. Use as an async context manager; on leaving, all are ended."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lines: dict[str, _Line] = {}
        self._asks: dict[str, Ask] = {}
        self._questions = Quota("questions who hands over")
        self._kept: dict[str, tuple[str, float]] = {}
        """By robot, for whom it is kept after a hand-over, and until when, monotonic."""
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watch = asyncio.create_task(self._end_silent(), name="silent calls")
        self._hub.directory.subscribe(self._review)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watch:
            self._watch.cancel()
        for call_id in list(self._lines):
            self.end(call_id, "the gateway ends")
        for ask in self._asks.values():
            ask.timer.cancel()

    async def open(self, holder: object, sender: str, to: str, control: str = "") -> Call:
        """Call a robot, for a user behind the connection `holder` of a front-end.

        Raises:
            Refused: nobody has this address, somebody else has a call with it, or a module refuses.
        """
        self._hub.directory.require(to, sender)
        call = Call(id=self._new_id(), sender=sender, to=to, control=control)
        self._hub.witness.tell(Called, call)
        if reason := self._busy(sender, to):
            self._tell(call, CallState.BUSY, reason)
            raise Refused(Code.BUSY, reason)
        line = self._lines[call.id] = _Line(call, holder)
        self._tell(call, CallState.RINGING)
        try:
            async with asyncio.timeout(RING_S):
                answered_by = await self._answer(call)
        except TimeoutError:
            self._over(call.id, CallState.REFUSED, reason := f"nobody answered within {RING_S:g} s")
            raise Refused(Code.OFFLINE, reason) from None
        except Refused as refused:
            state = CallState.BUSY if refused.code is Code.BUSY else CallState.REFUSED
            self._over(call.id, state, refused.reason)
            raise
        except BaseException:
            self._over(call.id, CallState.ENDED, "the caller left")
            raise
        if call.id not in self._lines:
            raise Refused(Code.FAILED, "it ended before it was answered")
        line.answered_by, line.heard = answered_by, time.monotonic()
        self._tell(call, CallState.ANSWERED)
        return call

    def set_point(self, holder: object, call_id: str, text: str) -> None:
        """Carry out live values, given like the arguments of a command. Of a call that is over: nothing."""
        line = self._lines.get(call_id)
        if line is None or line.holder is not holder or not line.answered_by:
            return
        self._hub.witness.tell(Steered, call_id, text)
        if len(text) > MAX_SET_POINT_BYTES:
            self.end(call_id, f"a set-point has at most {MAX_SET_POINT_BYTES} characters")
            return
        line.heard = time.monotonic()
        module = self._hub.modules.get(line.answered_by)
        if module is None:
            self.end(call_id, "the module that answered is gone")
            return
        try:
            module.on_set_point(line.call, text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's own; what it moves must stop
            self.end(call_id, str(error) or type(error).__name__)

    def end(self, call_id: str, reason: str = "") -> None:
        """Hang up, whoever does it. One that is over already stays so."""
        self._over(call_id, CallState.ENDED, reason)

    def hang_up(self, holder: object, call_id: str) -> None:
        """Hang up, as the caller."""
        line = self._lines.get(call_id)
        if line and line.holder is holder:
            self._hang_up(line, "hung up")

    def leave(self, holder: object) -> None:
        """End the calls of a front-end that is gone."""
        for line in [line for line in self._lines.values() if line.holder is holder]:
            self._hang_up(line, "is gone")

    def ask(self, user: str, to: str) -> Ask:
        """Ask who has a call to hand it over; what comes of it is told to both.

        Raises:
            Refused: nobody has one, the user may not, or he or others ask too much.
        """
        self._hub.directory.require(to, user)
        self._hub.access.require(user, Wish("drive", to))
        holder = self._caller(to)
        if holder in (None, user):
            raise Refused(Code.FAILED, f"nobody else controls {to}: call it")
        asks = self._asked_for(to)
        if found := next((ask for ask in asks if ask.by == user), None):
            return found
        self._questions.take(user)
        if len(asks) >= MAX_ASKS:
            raise Refused(Code.BUSY, f"{len(asks)} have asked {holder} for {to} already")
        number = self._new_id()
        timer = asyncio.get_running_loop().call_later(ASK_S, self._decide, number, f"{holder} said nothing")
        ask = self._asks[number] = Ask(number, user, to, str(holder), time.time() + ASK_S, timer)
        self._hub.sessions.push(ask.holder, CallAsked(ask.holder, ask.id, user, to, ask.until))
        return ask

    def answer(self, user: str, ask_id: str, *, yes: bool) -> None:
        """Answer it, as who has the call. Of one that is decided already: nothing."""
        ask = self._asks.get(ask_id)
        if ask is None or ask.holder != user:
            return
        if not yes:
            self._decide(ask_id, f"{user} keeps it")
            return
        self._hub.store.audit(user, "call handed over", ask.to, f"to {ask.by}")
        self._grant(ask, reason := f"{user} hands it over to {ask.by}")
        for line in [line for line in self._lines.values() if line.call.to == ask.to]:
            self._hang_up(line, reason.removeprefix(f"{user} "))

    def _review(self) -> None:
        """End the calls of those who may not drive any more, and forget what they asked for."""
        directory = self._hub.directory
        for line in list(self._lines.values()):
            call = line.call
            if directory.kind(call.to) is Kind.ROBOT and not directory.allowed(call.sender, "drive", call.to):
                self.end(call.id, f"{call.sender} may not drive {call.to} any more")
        for ask in list(self._asks.values()):
            if not directory.allowed(ask.by, "drive", ask.to):
                self._decide(ask.id, f"{ask.by} may not drive {ask.to} any more")

    def _grant(self, ask: Ask, reason: str) -> None:
        """Keep a robot for who asked for it first; the others have to ask again."""
        self._kept[ask.to] = ask.by, time.monotonic() + KEPT_S
        self._decide(ask.id, reason, granted=True)
        for other in self._asked_for(ask.to):
            self._decide(other.id, reason)

    def _asked_for(self, to: str) -> list[Ask]:
        return [ask for ask in self._asks.values() if ask.to == to]

    def _decide(self, ask_id: str, reason: str, *, granted: bool = False) -> None:
        ask = self._asks.pop(ask_id)
        ask.timer.cancel()
        for user in (ask.by, ask.holder):
            self._hub.sessions.push(user, CallDecided(user, ask.id, ask.by, ask.to, granted, reason))

    def _caller(self, to: str) -> str | None:
        return next((line.call.sender for line in self._lines.values() if line.call.to == to), None)

    def _busy(self, sender: str, to: str) -> str:
        """Why a robot can't be called just now; "" if it can."""
        if other := self._caller(to):
            return f"{other} controls {to} just now"
        other, until = self._kept.get(to, (sender, 0.0))
        if other != sender and time.monotonic() < until:
            return f"{to} was handed over to {other} just now"
        self._kept.pop(to, None)
        return ""

    def _hang_up(self, line: _Line, how: str) -> None:
        reason = f"{line.call.sender} {how}"
        self._hub.witness.tell(HungUp, line.call.id, reason)
        self._give_up(line, reason)

    def _give_up(self, line: _Line, reason: str) -> None:
        """End a call that its caller does not want any more, in favour of who asked for it first."""
        if asked := self._asked_for(line.call.to):
            self._grant(asked[0], reason)
        self.end(line.call.id, reason)

    def _new_id(self) -> str:
        return secrets.token_hex(6)

    async def _answer(self, call: Call) -> str:
        """The module that answers: each may refuse, and one must take it."""
        answered_by = ""
        for name, module in list(self._hub.modules.items()):
            try:
                verdict = module.on_call(call)
                if hasattr(verdict, "__await__"):
                    verdict = await verdict
            except Refused:
                raise
            except (Exception, SystemExit) as error:
                if not self._hub.modules.chain.failed(name, "on_call", error):
                    raise Refused(
                        Code.FAILED, f"the module {name} failed, and nothing passes without it"
                    ) from error
                continue
            if verdict is CONSUMED:
                answered_by = answered_by or name
        if not answered_by:
            raise Refused(Code.OFFLINE, f"{call.to} takes no calls")
        return answered_by

    def _over(self, call_id: str, state: CallState, reason: str) -> None:
        line = self._lines.pop(call_id, None)
        if line:
            self._tell(line.call, state, reason)
            for ask in self._asked_for(line.call.to):  # a stop, a take-over: it is not handed over
                self._decide(ask.id, reason)

    def _tell(self, call: Call, state: CallState, reason: str = "") -> None:
        """Tell caller and modules how a call is; the audit, who controlled what."""
        log.info("call", id=call.id, by=call.sender, to=call.to, state=state.value, reason=reason)
        self._hub.sessions.push(
            call.sender, CallUpdate(call.sender, call.id, call.to, state, reason, time.time())
        )
        for name, module in self._hub.modules.items():
            self._hub.modules.notify(name, module.on_call_status, call, state)
        if state is not CallState.RINGING:
            self._hub.store.audit(call.sender, f"call {state.value}", call.to, reason)

    async def _end_silent(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            late = time.monotonic() - SILENCE_S
            for line in [line for line in self._lines.values() if line.answered_by and line.heard < late]:
                self._give_up(line, f"{line.call.sender} fell silent")
