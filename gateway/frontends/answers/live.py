"""Live control and measured values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.frontends import control
from boardtalk.frontends.answers.fitting import MAX_ANSWER_BYTES, fitting
from boardtalk.people.policy import Wish

if TYPE_CHECKING:
    from boardtalk.frontends.control import live
    from boardtalk.hub.calls import Calls
    from boardtalk.hub.hub import Hub
    from boardtalk.hub.sessions import Session


class Live:
    """Answers `control.live`, but for set-points, which wait for nothing."""

    def __init__(self, hub: Hub, calls: Calls) -> None:
        self._hub = hub
        self._calls = calls

    async def answer(self, request: live.Request, session: Session, user: str) -> control.Reply | None:
        """Carry out what a user asks in a session of his; None: it is not answered."""
        match request:
            case control.OpenCall(to, name):
                return control.CallOpened((await self._calls.open(session, user, to, name)).id)
            case control.AskCall(to):
                ask = self._calls.ask(user, to)
                return control.Asked(ask.id, ask.holder, ask.until)
            case control.HandOver(ask_id, yes):
                self._calls.answer(user, ask_id, yes=yes)
            case control.HangUp(call):
                self._calls.hang_up(session, call)
            case control.Watch(address, names):
                return self._watch(session, user, address, names)
            case control.Unwatch(address):
                self._hub.series.unwatch(session, address)
        return None

    def _watch(self, session: Session, user: str, address: str, names: list[str]) -> control.Watching:
        self._hub.directory.require(address, user)
        self._hub.access.require(user, Wish("see", address))
        self._hub.series.watch(session, address, names)
        past = self._hub.series.past(address)
        shown = [name for name in names if name in past] if names else list(past)
        room = MAX_ANSWER_BYTES // max(1, len(shown))
        return control.Watching(address, {name: fitting(past[name][::-1], room)[::-1] for name in shown})
