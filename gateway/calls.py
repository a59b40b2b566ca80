"""Calls between people and robots: who controls what, since when, and whether he still does."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk.events import CallUpdate
from boardtalk.sdk import CONSUMED, Call, CallState, Code, Refused
from boardtalk.witness import Called, HungUp, Steered

if TYPE_CHECKING:
    from types import TracebackType

    from boardtalk.hub import Hub

RING_S: Final = 5.0
"""Modules that take longer to decide about a call have refused it."""
SILENCE_S: Final = 2.0
"""A call without a set-point for so long has ended. (The board itself stops earlier: at its lease.)"""
LOOK_EVERY_S: Final = 0.2
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


class Calls:
    """All calls. Use as an async context manager; on leaving, all are ended."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lines: dict[str, _Line] = {}
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watch = asyncio.create_task(self._end_silent(), name="silent calls")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch:
            self._watch.cancel()
        for call_id in list(self._lines):
            self.end(call_id, "the gateway ends")

    async def open(self, holder: object, sender: str, to: str, control: str = "") -> Call:
        """Call a robot, for a user behind the connection `holder` of a front-end.

        Raises:
            Refused: nobody has this address, somebody else has a call with it, or a module refuses.
        """
        self._hub.directory.require(to)
        call = Call(id=self._new_id(), sender=sender, to=to, control=control)
        self._hub.witness.tell(Called, call)
        other = next((line.call.sender for line in self._lines.values() if line.call.to == to), None)
        if other is not None:
            reason = f"{other} controls {to} just now"
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

    def _hang_up(self, line: _Line, how: str) -> None:
        reason = f"{line.call.sender} {how}"
        self._hub.witness.tell(HungUp, line.call.id, reason)
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
                if not self._hub.chain.failed(name, "on_call", error):
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

    def _tell(self, call: Call, state: CallState, reason: str = "") -> None:
        """Tell caller and modules how a call is; the audit, who controlled what."""
        log.info("call", id=call.id, by=call.sender, to=call.to, state=state.value, reason=reason)
        self._hub.push(call.sender, CallUpdate(call.sender, call.id, call.to, state, reason, time.time()))
        for name, module in self._hub.modules.items():
            self._hub.notify(name, module.on_call_status, call, state)
        if state is not CallState.RINGING:
            self._hub.store.audit(call.sender, f"call {state.value}", call.to, reason)

    async def _end_silent(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            late = time.monotonic() - SILENCE_S
            for line in [line for line in self._lines.values() if line.answered_by and line.heard < late]:
                self.end(line.call.id, f"{line.call.sender} fell silent")
