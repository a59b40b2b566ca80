"""A board's end of the line, made of the gateway's own `Link`, and a line with faults between two."""

from __future__ import annotations

import heapq
import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Kind, Type
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.events import Event, Opened
from boardtalk.modules.iot_bridge.link.framing import Frame, encode
from boardtalk.modules.iot_bridge.link.hello import Hello

FRAME = re.compile(rb"\0[^\0]+\0")

HELLO = Hello(boot=7, dictionary=b"12345678", uid="c0ffee01", name="rover", firmware="test 1")


def hello_payload(hello: Hello, host_nonce: int) -> bytes:
    """A board's HELLO; `host_nonce` 0 announces its start."""
    fields = {name: getattr(hello, name) for name in Hello.__slots__}
    built = frames.HelloBoard.build({**fields, "boot_nonce": hello.boot, "host_nonce": host_nonce})
    return bytes(built)


def messages(frame: Frame) -> list[Frame]:
    """The messages in a frame: several if it is a batch."""
    found = frames.messages(frame.type, frame.payload)
    return [frame._replace(type=type_, payload=payload) for type_, payload in found]


class BoardLink(Link):
    """The board's end: answers HELLO instead of sending it, and each heartbeat."""

    def __init__(self, hello: Hello = HELLO) -> None:
        super().__init__()
        self._batch_bytes = 0  # only the host joins messages
        self.hello = hello
        self.arrived: list[tuple[float, bytes]] = []
        """Payloads of DATA in the order of arrival, and when they came."""

    def announce(self, now: float) -> None:
        self._begin(-1, 1, 243, now)
        self._say_hello(0, now)

    def _say_hello(self, nonce: int, now: float) -> None:
        body = hello_payload(self.hello, nonce)
        self._greeting = encode(Kind.HELLO, Type.HELLO, body, seq=0, ack=0, retry=False, seed=0)
        self._hello_at = now

    def _hello(self, now: float) -> bytes:
        data = super()._hello(now)
        self._hello_at = None
        return data

    def _on_hello(self, frame: Frame, now: float) -> Iterator[Event]:
        if len(frame.payload) != frames.HelloHost.sizeof():
            return
        nonce = frames.HelloHost.parse(frame.payload).nonce
        if nonce != self._nonce or not self.is_open:
            self._nonce = nonce
            seed = frames.session_seed(nonce, self.hello.boot, self.hello.dictionary)
            self._begin(seed, self.hello.window, self.hello.buffer, now)
            yield Opened(self.hello)
        self._say_hello(nonce, now)

    def _unless_starting(self, frame: bytes, now: float) -> bytes:
        return frame  # a gateway takes a 0x03 for what it is

    def _on_data(self, frame: Frame, now: float) -> list[Frame]:
        self.arrived.append((now, frame.payload))
        return [each for frame in super()._on_data(frame, now) for each in messages(frame)]

    def _on_frame(self, frame: Frame, now: float) -> Iterator[Event]:
        yield from super()._on_frame(frame, now)
        if frame.kind is frames.Kind.TIME:
            shown = int(now * 1000) & frames.CLOCK_MASK
            answer = frame.payload[:4] + struct.pack("<IH", shown, self.counters.lost & 0xFFFF)
            self.send_datagram(frame.type, answer, frames.Kind.TIME)


@dataclass
class Faults:
    """Probabilities per chunk on the line, and how often each has happened."""

    random: random.Random
    drop: float = 0.0
    flip: float = 0.0
    double: float = 0.0
    cut: float = 0.0
    noise: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)

    def spoil(self, data: bytes) -> bytes:
        if self._hit("drop"):
            return b""
        if self._hit("flip"):
            at = self.random.randrange(len(data))
            data = data[:at] + bytes((data[at] ^ 1 << self.random.randrange(8),)) + data[at + 1 :]
        if self._hit("double"):
            data += data
        if self._hit("cut"):
            data = data[: self.random.randrange(len(data))]
        if self._hit("noise"):
            data = self.random.randbytes(self.random.randrange(1, 40)) + data
        return data

    def _hit(self, name: str) -> bool:
        hit = self.random.random() < getattr(self, name)
        self.fired[name] += hit
        return hit


class VirtualLine:
    """Two links, a line between them and a clock of their own."""

    def __init__(
        self,
        host: Link,
        board: BoardLink,
        faults: Faults,
        *,
        byte_s: float = 1e-5,
        turnaround_s: float = 0.001,
    ) -> None:
        self.now = 0.0
        self.board = board
        self.ends = (host, board)
        self.log: tuple[list[tuple[float, Event]], list[tuple[float, Event]]] = ([], [])
        """What each end reported, and when."""
        self.sent_bytes = [0, 0]
        self._faults = faults
        self._byte_s = byte_s
        self._turnaround_s = turnaround_s
        self._free = [0.0, 0.0]
        self._wire: list[tuple[float, int, int, bytes]] = []
        self._order = count()

    def events(self, number: int) -> list[Event]:
        """What an end reported since it was asked last: 0 the host, 1 the board."""
        events = [event for _, event in self.log[number]]
        self.log[number].clear()
        return events

    def deliver(self, number: int, data: bytes) -> None:
        """Bytes arrive at an end."""
        events = self.ends[number].receive(data, self.now)
        self.log[number].extend((self.now, event) for event in events)

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            self._pump()
            following = min(self._times(), default=until)
            if following >= until:
                self.now = until
                return
            self.now = max(self.now, following)
            self._arrive()

    def _times(self) -> Iterator[float]:
        yield from (entry[0] for entry in self._wire[:1])
        for end, free in zip(self.ends, self._free, strict=True):
            deadline = end.deadline()
            if deadline is not None:
                yield max(deadline, free)
            if free > self.now:
                yield free

    def _pump(self) -> None:
        for number, end in enumerate(self.ends):
            self.deliver(number, b"")
            while self._free[number] <= self.now and (data := end.to_send(self.now)):
                self._put(number, data)

    def _put(self, number: int, data: bytes) -> None:
        self.sent_bytes[number] += len(data)
        for frame in FRAME.findall(data):
            self._free[number] = max(self._free[number], self.now) + len(frame) * self._byte_s
            at = self._free[number] + self._turnaround_s
            entry = (at, next(self._order), 1 - number, self._faults.spoil(frame))
            heapq.heappush(self._wire, entry)

    def _arrive(self) -> None:
        while self._wire and self._wire[0][0] <= self.now:
            _, _, number, data = heapq.heappop(self._wire)
            self.deliver(number, data)
