"""What runs on the board: frames in, the robot's code, frames out."""

import asyncio
from binascii import crc32
from struct import calcsize, pack, unpack_from

from micropython import const

from boardtalk import frames, hal, link
from boardtalk.dictionary import digest
from boardtalk.dispatcher import Dispatcher
from boardtalk.hal import ticks_add, ticks_diff, ticks_ms
from boardtalk.reporter import Reporter
from boardtalk.values import clip, packed

VERSION = "0.1.0"

_TICK_MS = const(10)
_MAX_NAME_BYTES = const(64)
_ANNOUNCE_MS = const(200)  # at most this often
_UNFINISHED_MS = const(1000)  # a frame that stops for so long will not be finished


class Client:
    """A board's end of the conversation with the gateway."""

    def __init__(self, dictionary, version, stream):
        self.link = link.Link(stream)
        self.dispatcher = Dispatcher(dictionary, self.link)
        self._dictionary = dictionary
        self._reporter = Reporter(dictionary.telemetry, self.link)
        self._version = version
        self._stream = stream
        self._text = b""
        self._digest = b""
        self._boot_nonce = hal.nonce()
        self._host_nonce = 0
        self._announced = 0
        self._quiet_ms = 0
        self._orders = {
            frames.TYPE_RENEW: (frames.RENEW, self.dispatcher.renew),
            frames.TYPE_CANCEL: (frames.CANCEL, self.dispatcher.cancel),
            frames.TYPE_STOP: (frames.STOP, self._stop),
            frames.TYPE_REARM: (frames.REARM, self._rearm),
            frames.TYPE_DICTIONARY_GET: (frames.DICTIONARY_GET, self._tell_dictionary),
        }

    async def run(self, tasks):
        """Serve the gateway, with the robot's own tasks beside."""
        self._text = self._dictionary.text()
        self._digest = digest(self._text)
        self._announce()
        kept = [asyncio.create_task(self._clock())]
        kept += [asyncio.create_task(self._guarded(task)) for task in tasks]
        while True:
            await self._stream.readable()
            self._serve()

    def close(self):
        """Outputs off; the console back to the REPL."""
        self.dispatcher.halt()
        self._stream.close()

    def emit(self, name, values):
        """Send an event; False if it can't be sent."""
        for event in self._dictionary.events:
            if event.name == name:
                break
        else:
            raise ValueError("the event '%s' is not declared" % name)
        payload = packed(event.values, values)
        if self.link.crowded() or not self.link.connected():
            self.link.dropped += 1
            return False
        self.link.send(frames.TYPE_EVENT | event.number, payload)
        return True

    # Frames in ----------------------------------------------------------------------------------

    def _serve(self):
        """Deal with everything that has come; what can't wait goes before what was queued."""
        self._read()
        while self.link.take():
            self._obey()
            self._read()
        self.link.flush()

    def _read(self):
        if self.link.fill():
            self._quiet_ms = 0
        while (kind := self.link.receive()) != link.NOTHING:
            if kind == frames.KIND_HELLO:
                self._greet()
            elif kind != link.DAMAGED:
                self._obey()
            elif self.link.seed < 0 and ticks_diff(ticks_ms(), self._announced) >= _ANNOUNCE_MS:
                self._announce()  # perhaps a peer from before our start
        if not self._stream.interrupt_ms:
            self._heed_interrupt()

    def _obey(self):
        frame = self.link
        kind = frame.type & frames.TYPE_BASE_MASK
        if kind == frames.TYPE_COMMAND:
            self.dispatcher.command(frame.type & 0xFF, frame.payload, frame.at, frame.end, frame.arrived)
        elif kind == 0 and frame.type >= frames.TYPE_SETPOINT:
            number = frame.type - frames.TYPE_SETPOINT
            self.dispatcher.setpoint(number, frame.payload, frame.at, frame.end)
        elif frame.type in self._orders:
            body, carry_out = self._orders[frame.type]
            if frame.end - frame.at == calcsize(body):
                carry_out(*unpack_from(body, frame.payload, frame.at))

    def _greet(self):
        frame = self.link
        if frame.type != frames.TYPE_HELLO or frame.end - frame.at != frames.HELLO_HOST_BYTES:
            return
        oldest, newest, nonce = unpack_from(frames.HELLO_HOST, frame.payload, frame.at)
        if not oldest <= frames.VERSION <= newest:
            self._hello(0, nonce)
            return
        if nonce != self._host_nonce:  # else our answer was lost
            self._host_nonce = nonce
            frame.open(crc32(pack("<II", nonce, self._boot_nonce) + self._digest))
        self._hello(frames.VERSION, nonce)

    def _stop(self, epoch):
        self.dispatcher.stop(epoch)
        self.link.datagram(frames.KIND_URGENT, frames.TYPE_STOPPED, self._state())

    def _rearm(self, epoch):
        self.dispatcher.rearm(epoch)
        self.link.send(frames.TYPE_STATE, self._state())

    def _tell_dictionary(self, offset):
        size = frames.MAX_PAYLOAD - frames.DICTIONARY_BYTES
        head = pack(frames.DICTIONARY, offset, len(self._text))
        self.link.send(frames.TYPE_DICTIONARY, head + self._text[offset : offset + size])

    # Frames out ---------------------------------------------------------------------------------

    def _state(self):
        return pack(frames.STATE_BODY, self.dispatcher.epoch, self.dispatcher.latched)

    def _announce(self):
        self._announced = ticks_ms()
        self._hello(frames.VERSION, 0)

    def _hello(self, version, host_nonce):
        payload = pack(
            frames.HELLO_BOARD,
            version,
            host_nonce,
            self._boot_nonce,
            self._digest,
            hal.reset_cause(),
            self.dispatcher.last,
            self.dispatcher.epoch,
            self.dispatcher.latched,
            frames.MAX_PAYLOAD,
            frames.WINDOW,
            link.RECEIVE_BYTES,
        )
        firmware = "boardtalk %s, %s" % (VERSION, self._version or "unversioned")
        for text in (hal.uid(), self._dictionary.name, firmware):
            data = clip(text, _MAX_NAME_BYTES)
            payload += bytes([len(data)]) + data
        self.link.datagram(frames.KIND_HELLO, frames.TYPE_HELLO, payload)

    # Time ---------------------------------------------------------------------------------------

    async def _clock(self):
        while True:
            await hal.sleep_ms(_TICK_MS)
            self.dispatcher.tick()
            self.link.tick()
            if self.link.connected():
                self._reporter.tick()
            self._quiet_ms += _TICK_MS
            self._heed_interrupt()

    def _heed_interrupt(self):
        """Leave on a Ctrl-C outside of a frame, unless it may be the rest of a damaged one."""
        if self._quiet_ms >= self._stream.interrupt_ms and self.link.interrupted():
            raise KeyboardInterrupt
        if self._quiet_ms >= _UNFINISHED_MS:
            self.link.give_up()

    async def _guarded(self, task):
        try:
            await task()
        except Exception as error:
            self.link.log(link.ERROR, "%s: %s" % (task.__name__, error))
