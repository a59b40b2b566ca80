"""Calls: live control of a robot by one person, while both are there."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CallState(StrEnum):
    """How far a call is. One that was refused, was busy or has ended is over."""

    RINGING = "ringing"
    """The modules are asked."""
    ANSWERED = "answered"
    """Set-points are carried out."""
    REFUSED = "refused"
    """Nobody answers for the address, or a module refused."""
    BUSY = "busy"
    """Somebody else has a call with it."""
    ENDED = "ended"
    """Either side hung up, or fell silent."""

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self not in (CallState.RINGING, CallState.ANSWERED)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A live control session. While it lasts, nobody else has one with the same address."""

    id: str
    """Chosen by the gateway, unique."""
    sender: str
    """Who controls."""
    to: str
    """What is controlled: a robot or a service."""
    control: str = ""
    """Which of its live controls, if it has several; "" = the only one."""
