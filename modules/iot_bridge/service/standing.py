"""How it stands with a board, as the rules have to know: who it is, whether it is there, whether stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.news import Order
    from boardtalk.modules.iot_bridge.service.memory import Memory

MAX_EPOCH: Final = 0xFFFF
HALTED: Final = ("motion", "action")
"""Classes of commands that a stopped board does not take."""


class Standing:
    """One board's.

    Args:
        name: its address; "" while nobody has adopted it.
        uid: its unique id, if that is known before it is met.
        memory: knows who was stopped before the link process was started.
    """

    def __init__(self, name: str, uid: str, memory: Memory) -> None:
        self.name = name
        self.port = ""
        self.epoch = 0
        self.latched = False
        self.device: Device | None = None
        """The session, while there is one."""
        self.met: Device | None = None
        """The last session: who the board is, and what it understands."""
        self.detail = "not seen yet"
        """Why there is no session."""
        self.ready = asyncio.Event()
        """There is one, and if the board is stopped it has agreed."""
        self._expected_uid = uid
        self._memory = memory

    @property
    def uid(self) -> str:
        """The board's unique id; "" if it is not known."""
        return self.met.hello.uid if self.met else self._expected_uid

    def meet(self, device: Device) -> None:
        """A session begins: what came to pass since the last one is learned."""
        hello = device.hello
        if self.met is not None and self.met.hello.boot != hello.boot:
            self.raise_epoch()
        self.epoch = max(self.epoch, hello.epoch)
        unmet = self._memory.take_unmet_stop(self.name)
        self.latched = self.latched or hello.latched or unmet or self._memory.get(hello.uid).latched
        self.port, self.met, self.device = device.port, device, device

    def leave(self) -> None:
        """The session is over."""
        self.device = None
        self.ready.clear()

    def raise_epoch(self) -> None:
        """Whatever was said before comes to nothing."""
        self.epoch = min(self.epoch + 1, MAX_EPOCH)

    def describe(self) -> api.BoardChanged:
        """How it is now."""
        met = self.met
        return api.BoardChanged(
            name=self.name,
            uid=self.uid,
            port=self.port,
            firmware=met.hello.firmware if met else "",
            state=self._state(),
            epoch=self.epoch,
            dictionary=met.hello.dictionary.hex() if met else "",
            detail=self._why_latched() if self.device else self.detail,
            declared=met.hello.name if met else "",
            boot=met.hello.boot if met else 0,
            line_bytes=met.line_bytes if met else 0,
        )

    def require_met(self) -> Device:
        """The last session. Raises LinkError if there never was one."""
        if self.met is None:
            raise LinkError(f"{self.name} was never here: {self.detail}")
        return self.met

    def refusal(self, order: Order) -> str:
        """Why a command can't be sent; "" if it can."""
        if order.epoch < self.epoch:
            return api.STOPPED_FIRST
        if self.met is None:
            return f"{self.name} was never here: {self.detail}"
        commands = self.met.dictionary.commands
        if order.index >= len(commands):
            return "the board has no such command"
        if self.latched and commands[order.index].cls in HALTED:
            return f"stopped: rearm first{f' ({why})' if (why := self._why_latched()) else ''}"
        return ""

    def limit_s(self, index: int) -> float | None:
        """How long a command may take, as it was declared; None: there is none of this index."""
        commands = self.met.dictionary.commands if self.met else ()
        return commands[index].limit if index < len(commands) else None

    def _state(self) -> api.BoardState:
        if self.device is None:
            return api.BoardState.OFFLINE
        if not self.name:
            return api.BoardState.WAITING
        return api.BoardState.LATCHED if self.latched else api.BoardState.READY

    def _why_latched(self) -> str:
        """Why it counts as stopped, if nobody stopped it."""
        return self._memory.get(self.uid).reason if self.latched else ""
