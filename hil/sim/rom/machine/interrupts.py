"""Interrupts of pins and timers.

A thread waits for them and schedules their handlers, which run between two steps of the program, as
soft interrupts do on boards; the supervisor wakes the program if it sleeps.
"""

import select
import time
from _thread import stack_size, start_new_thread

from micropython import schedule

from machine import wires

_SLOTS = 256  # a power of two
_NEVER_MS = 1 << 30
_TIMER = 256  # what is waiting is a pin and its level, or a timer's number and this

_waiting = [0] * _SLOTS  # one thread writes at the head, the other reads at the tail: no lock is needed
_head = _tail = 0
_scheduled = _full = False
_handlers = {}
timers: list = [None] * 16


def on_pin(pin, handler):
    """Let a pin have this handler."""
    _handlers[pin.number] = (pin, handler)
    look()


def look():
    """Let the thread look at the timers anew."""
    if not _started:
        _start()
    _poke.write(b"\xff")


_started = False


def _start():
    global _started, _poke
    _started = True
    _poke = open(wires.POKE, "wb", 0)
    stack_size(32768)
    start_new_thread(_wait, ())


def _wait():
    events = open(wires.EVENTS, "rb", 0)
    poll = select.poll()
    poll.register(events, select.POLLIN)
    byte = bytearray(1)
    while True:
        for _ in poll.ipoll(_until_next()):
            events.readinto(byte)
            if byte[0] != 0xFF:
                _add(byte[0])
        now = time.ticks_ms()
        for number in range(len(timers)):
            timer = timers[number]
            if timer and time.ticks_diff(timer.due, now) <= 0:
                timer.advance(now)
                _add(_TIMER + number)
        _raise()


def _until_next():
    """Milliseconds to the next timer, -1 for ever."""
    if _full:
        return 1
    now = time.ticks_ms()
    wait = _NEVER_MS
    for timer in timers:
        if timer:
            wait = min(wait, max(0, time.ticks_diff(timer.due, now)))
    return -1 if wait == _NEVER_MS else wait


def _add(what):
    global _head
    _waiting[_head % _SLOTS] = what
    _head += 1


def _raise():
    global _scheduled, _full
    if _head == _tail or _scheduled:
        return
    _scheduled = True
    try:
        schedule(_run, None)
        _full = False
    except RuntimeError:  # too much waits already
        _scheduled = False
        _full = True
    else:
        wires.tell("wake")


def _run(_):
    """Run the handlers of what is waiting, in the program's thread."""
    global _scheduled, _tail
    _scheduled = False
    if wires.masked:
        return
    while _tail != _head:
        what = _waiting[_tail % _SLOTS]
        _tail += 1
        if what >= _TIMER:
            timer = timers[what - _TIMER]
            source, handler = timer, timer and timer.fired()
        else:
            source, handler = _handlers.get(what & 0x7F, (None, None))
        if handler:
            handler(source)
