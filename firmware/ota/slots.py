"""Which of two slots runs, the folder /a or /b. Not replaced over the air: a fault here needs a cable.

What is so stands in two records, each with a checksum, and written by turns: wherever the power fails,
one of them holds.
"""

import os
import sys
from binascii import crc32
from struct import pack, unpack_from
from time import ticks_diff, ticks_ms

import machine
from micropython import const

SLOTS = ("/a", "/b")
_RECORDS = ("/slots.0", "/slots.1")
_RECORD = const("<IBBBI")
_RECORD_BYTES = const(11)
_TRIALS = const(3)
_HEALTHY_MS = const(30000)
_WATCHDOG_MS = const(8000)  # most that an RP2 can

running = 0
"""The slot that runs."""
trial = False
"""Whether it is on trial."""

_since = ticks_ms()
_dog = None


def load():
    """The newest record: its number, the slot that stays, boots that the other one has left on trial,
    bit n for slot n that was ever confirmed, and the newest release that ever began.
    """
    newest = (0, 0, 0, 1, 0)
    for name in _RECORDS:
        try:
            with open(name, "rb") as file:
                data = file.read(_RECORD_BYTES + 4)
        except OSError:
            continue
        if len(data) == _RECORD_BYTES + 4:
            crc = unpack_from("<I", data, _RECORD_BYTES)[0]
            record = unpack_from(_RECORD, data)
            if crc32(data[:_RECORD_BYTES]) == crc and record[0] > newest[0]:
                newest = record
    return newest


def save(stays, left, good, floor):
    """Write the other record: from then on it is so, and until then it is as before."""
    number = load()[0] + 1
    data = pack(_RECORD, number, stays, left, good, floor)
    name = _RECORDS[number & 1]
    try:
        file = open(name, "r+b")  # noqa: SIM115 - in place: with FAT nothing else of the disk changes then
    except OSError:
        file = open(name, "wb")  # noqa: SIM115 - closed below
    with file:
        file.write(data + pack("<I", crc32(data)))


def run(names):
    """Run the program of the slot whose turn it is. One on trial that fails or ends starts again."""
    global running, trial
    _, running, left, good, floor = load()
    if left:
        try:
            save(running, left - 1, good, floor)
            running = 1 - running
            trial = True
            _watch()
        except OSError:  # what can't be counted is not tried
            pass
    slot = SLOTS[running]
    sys.path.insert(0, slot)
    try:
        import ota_client  # noqa: F401 - the client that the program gets; perhaps a new one, of the slot

        if "main.py" in os.listdir(slot):
            execfile(slot + "/main.py", names)  # noqa: F821 - MicroPython's
        else:
            __import__("main")  # compiled
    except Exception as error:
        if not trial:
            raise
        sys.print_exception(error)
    if trial:
        machine.reset()


def tick(connected):
    """Time passes: called again and again by a client that lives, and knows whether the gateway is there."""
    global _since
    if _dog:
        _dog.feed()
    if trial and not connected:
        _since = ticks_ms()
    elif trial and ticks_diff(ticks_ms(), _since) >= _HEALTHY_MS:
        confirm()


def begin_trial(release):
    """The other slot is to run from the next start on, and to stay if it proves itself."""
    _, _, _, good, _ = load()
    save(running, _TRIALS, good, release)


def confirm():
    """What runs stays."""
    global trial
    _, _, _, good, floor = load()
    save(running, 0, good | 1 << running, floor)
    trial = False


def give_up():
    """The other slot is to be written: it does not count any more."""
    _, _, left, good, floor = load()
    if left or good != 1 << running:
        save(running, 0, 1 << running, floor)


def roll_back():
    """The other slot, if it was ever confirmed, runs from the next start on. Raises ValueError."""
    other = 1 - running
    _, _, _, good, floor = load()
    if not good & 1 << other:
        raise ValueError("there is no release before this one")
    save(other, 0, good, floor)


def _watch():
    global _dog, _since
    _since = ticks_ms()
    try:
        _dog = machine.WDT(timeout=_WATCHDOG_MS)
    except Exception:  # noqa: S110 - this board has none, or none that can be set
        pass
