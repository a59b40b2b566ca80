"""A board made of the gateway's own `Link` behind a pseudo-terminal, for tests without MicroPython."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from boardtalk.hil.port import Port
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import digest
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.link.framing import Frame
from boardtalk.modules.iot_bridge.link.hello import Hello
from tests.iot_bridge.peer import BoardLink

DICTIONARY = {
    "name": "rover",
    "commands": [
        {"name": "forward", "class": "motion", "args": [{"name": "distance", "type": "int"}]},
        {"name": "battery", "class": "query", "returns": [{"name": "volts", "type": "float"}]},
        {"name": "blink", "class": "action", "limit": 0.2},
    ],
    "telemetry": [{"name": "battery", "values": [{"name": "volts", "type": "float"}], "rate": 1}],
    "events": [{"name": "bumped"}],
    "controls": [{"name": "drive", "args": [{"name": "x", "type": "float"}]}],
}
FORWARD, BATTERY, BLINK = range(3)


class FakeBoard:
    """Runs while entered; `port` is where the gateway finds it.

    That is a symbolic link, as udev makes them, which goes before the pseudo-terminal does: another test may
    get the same one next, and a gateway that still looks for this board must not open it.

    Args:
        link_to: where the link is, if that matters.
    """

    def __init__(
        self,
        uid: str = "c0ffee01",
        name: str = "rover",
        firmware: str = "fake 1",
        link_to: Path | None = None,
    ) -> None:
        self.text = json.dumps(DICTIONARY).encode()
        self.uid, self.name, self.firmware = uid, name, firmware
        self.boot = 0
        self.epoch, self.latched = 0, False
        self.executed: list[int] = []
        self.asked: list[Frame] = []
        """Everything that the gateway sent, beside the link's own."""
        self.deaf = False
        """Hears nothing and says nothing, as if it hung."""
        self.deaf_to_stop = 0
        """So many STOPs go unanswered."""
        self.deny_rearm = False
        self.hold = False
        """Commands are started, and end only by `finish`."""
        self._results: dict[int, bytes | None] = {}
        self._folder = TemporaryDirectory(prefix="boardtalk-fake-")
        self._line = Port(link_to or Path(self._folder.name) / "port")
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        self._folder.cleanup()

    @property
    def port(self) -> str:
        return str(self._line.path)

    def plug(self, *, restarted: bool = True) -> None:
        """Appear, freshly started, or as one that has power of its own."""
        self._line.plug()
        self.loop.add_reader(self._line.near, self._on_readable)
        if restarted:
            self.restart()

    def unplug(self) -> None:
        """Vanish."""
        if not self._line.plugged:
            return
        self.loop.remove_reader(self._line.near)
        if self._timer:
            self._timer.cancel()
        self._line.unplug()

    def move(self, link_to: Path) -> None:
        """Have another port from the next `plug` on."""
        self.unplug()
        self._line = Port(link_to)

    def restart(self) -> None:
        """Begin anew, as after a reset: nothing is remembered."""
        self.boot += 1
        self.epoch, self.latched = 0, False
        self._results.clear()
        self.link = BoardLink(self._hello())
        self.link.announce(self.loop.time())
        self.pump()

    def say(self, data: bytes) -> None:
        """Put bytes on the line, whatever they are."""
        with suppress(BlockingIOError):
            os.write(self._line.near, data)

    def send(self, type_: int, payload: bytes, kind: Kind = Kind.DATA) -> None:
        if kind is Kind.DATA:
            self.link.send(type_, payload)
        else:
            self.link.send_datagram(type_, payload, kind)
        self.pump()

    def finish(self, id_: int, outcome: Outcome = Outcome.DONE, data: bytes = b"") -> None:
        """End a command that is held."""
        self._results[id_] = frames.ResultHead.build({"id": id_, "outcome": outcome}) + data
        self.send(Type.RESULT, self._results[id_] or b"")

    def left_ms(self, deadline: int, mask: int = frames.CLOCK_MASK) -> int:
        """How long it is until then by the board's clock, which is the loop's; 0: it is past."""
        left = (deadline - int(self.loop.time() * 1000)) & mask
        return left if deadline and left <= mask >> 1 else 0

    def pump(self) -> None:
        if self.deaf or not self._line.plugged:
            return
        now = self.loop.time()
        for event in self.link.receive(b"", now):
            self._on_event(event)
        while data := self.link.to_send(now):
            self.say(data)
        deadline = self.link.deadline()
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_at(deadline, self.pump) if deadline is not None else None

    def _hello(self) -> Hello:
        return Hello(
            boot=self.boot,
            dictionary=digest(self.text),
            uid=self.uid,
            name=self.name,
            firmware=self.firmware,
            epoch=self.epoch,
            latched=self.latched,
        )

    def _on_readable(self) -> None:
        try:
            data = os.read(self._line.near, 4096)
        except OSError:
            return
        if self.deaf:
            return
        self.link.hello = self._hello()
        for event in self.link.receive(data, self.loop.time()):
            self._on_event(event)
        self.pump()

    def _on_event(self, event: Any) -> None:
        if not isinstance(event, Frame) or event.kind is Kind.TIME:
            return
        self.asked.append(event)
        body = event.payload
        match event.type & 0xFF00 or event.type:
            case Type.DICTIONARY_GET:
                self._tell_dictionary(frames.DictionaryGet.parse(body).offset)
            case Type.COMMAND:
                self._command(frames.CommandHead.parse(body), event.type & 0xFF)
            case Type.RENEW if not frames.Renew.parse(body).lease:
                self.finish(frames.Renew.parse(body).id, Outcome.CANCELLED, b"cancelled")
            case Type.STOP:
                self._stop(frames.Stop.parse(body).epoch)
            case Type.REARM:
                if frames.Rearm.parse(body).epoch == self.epoch and not self.deny_rearm:
                    self.latched = False
                self.link.send(Type.STATE, self._state())

    def _tell_dictionary(self, offset: int) -> None:
        piece = {"offset": offset, "total": len(self.text), "data": self.text[offset : offset + 200]}
        self.link.send(Type.DICTIONARY, frames.Dictionary.build(piece))

    def _command(self, head: Any, index: int) -> None:
        if head.id in self._results:
            known = self._results[head.id]
            type_ = Type.RESULT if known else Type.STARTED
            self.link.send(type_, known or frames.Started.build({"id": head.id}))
            return
        class_ = DICTIONARY["commands"][index]["class"]  # type: ignore[index]
        if head.epoch < self.epoch or (self.latched and class_ != "query"):
            self._end(head.id, Outcome.REJECTED, b"stopped: rearm first")
        elif class_ == "motion" and not head.lease:
            self._end(head.id, Outcome.REJECTED, b"motion needs a lease")
        elif not self.left_ms(head.deadline):
            self._end(head.id, Outcome.EXPIRED, b"it came too late")
        else:
            self.epoch = head.epoch
            self.executed.append(head.id)
            self._results[head.id] = None
            self.link.send(Type.STARTED, frames.Started.build({"id": head.id}))
            if not self.hold:
                self._end(head.id, Outcome.DONE, b"\0\0\x40\x40" if index == BATTERY else b"")

    def _end(self, id_: int, outcome: Outcome, data: bytes) -> None:
        self._results[id_] = frames.ResultHead.build({"id": id_, "outcome": outcome}) + data
        self.link.send(Type.RESULT, self._results[id_] or b"")

    def _stop(self, epoch: int) -> None:
        if self.deaf_to_stop > 0:
            self.deaf_to_stop -= 1
            return
        self.epoch, self.latched = max(epoch, self.epoch), True
        self.link.send_urgent(Type.STOPPED, self._state())

    def _state(self) -> bytes:
        return bytes(frames.StateBody.build({"epoch": self.epoch, "latched": self.latched}))
