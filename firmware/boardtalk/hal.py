"""The hardware, as far as this client needs it. The only file that imports `machine`."""

import gc
import os
import sys
from asyncio import core  # type: ignore[attr-defined]
from binascii import hexlify

import machine

# Until the robot runs, garbage goes after so many bytes: else what stays, modules and declarations,
# lies scattered between garbage, and the free memory is in pieces too small for anything.
gc.threshold(4096)

_CAUSES = ("", "PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")
"""What MicroPython calls the causes of a reset, in the order of the wire format."""


def uid():
    """The board's unique id, lower-case hex."""
    return hexlify(machine.unique_id()).decode()


def nonce():
    """A random 32-bit number, not 0."""
    return int.from_bytes(os.urandom(4), "little") or 1


def reset_cause():
    """Why the board started, as the wire format counts."""
    cause = machine.reset_cause()
    for number, name in enumerate(_CAUSES):
        if getattr(machine, name, None) == cause:
            return number
    return 0


def open_stream(uart=None):
    """The stream to the gateway: a UART; a broker, if there is a `boardtalk.json`; or the console.

    The console is the REPL's too. The stream has `readinto` and `write`, which take or give what they can
    without waiting, `readable` to wait for more, and `close`.
    """
    if uart:
        return Stream(uart, uart)
    settings = "boardtalk.json"
    if settings in os.listdir():
        from boardtalk.mqtt import MqttStream

        return MqttStream(settings)
    if sys.platform == "linux":  # an emulated board, whose standard input and output don't block
        return Stream(sys.stdin.buffer, sys.stdout.buffer)
    from boardtalk.console import Console

    return Console()


class Stream:
    """A stream that does not block."""

    tasks = ()
    """What must run beside."""
    interrupt_ms = 50
    """A Ctrl-C counts after this silence: on a noisy line it may be left of a damaged frame."""

    def __init__(self, source, sink):
        self.readinto = source.readinto
        self.write = sink.write
        self._source = source

    def readable(self):
        """Wait until there is something to read."""
        yield core._io_queue.queue_read(self._source)  # noqa: SLF001 - as asyncio's own streams do

    def close(self):
        """Give the stream back as it was."""
