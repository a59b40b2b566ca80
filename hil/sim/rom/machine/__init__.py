"""`machine` of an emulated board: what a program does to its pins, the test sees; and vice versa."""

# Each part is loaded when it is first asked for: programs need few of them, and memory is short.

import os
import time
from binascii import unhexlify

import vfs
from umachine import Signal, idle, soft_reset, time_pulse_us

from machine import wires

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_PARTS = {
    "ADC": "adc",
    "I2C": "i2c",
    "SoftI2C": "i2c",
    "SPI": "spi",
    "SoftSPI": "spi",
    "RTC": "rtc",
    "PWM": "pwm",
    "Pin": "pin",
    "Timer": "timer",
    "UART": "uart",
    "WDT": "wdt",
    "interrupts": "",
}
_ROM = __file__.rsplit("/", 2)[0]
_mounted = False


def __getattr__(name):
    """Load a part. The files of this package are no part of the board's file system, but for now."""
    if name not in _PARTS:
        raise AttributeError(name)
    global _mounted
    mounted, _mounted = _mounted, True
    if not mounted:
        vfs.mount(vfs.VfsPosix(_ROM), _ROM, readonly=True)
    try:
        part = __import__("machine." + (_PARTS[name] or name), None, None, (name,))
    finally:
        if not mounted:
            vfs.umount(_ROM)
        _mounted = mounted
    value = globals()[name] = getattr(part, name) if _PARTS[name] else part
    return value


def unique_id():
    """The board's id."""
    return unhexlify(os.getenv("BOARDTALK_UID"))


def reset_cause():
    """Why it started."""
    return int(os.getenv("BOARDTALK_RESET_CAUSE"))


def reset():
    """Start anew, as after power-on."""
    wires.halt("reset %d 0" % HARD_RESET)


def deepsleep(time_ms=0):
    """Do nothing for a while, then start anew."""
    wires.halt("reset %d %d" % (DEEPSLEEP_RESET, time_ms or 1 << 31))


def lightsleep(time_ms=0):
    """Do nothing for a while."""
    time.sleep_ms(time_ms or 1 << 31)


def freq(hz=0):
    """The clock's frequency; it can't be changed."""
    return 125_000_000


def disable_irq():
    """Hold interrupts up."""
    wires.masked += 1
    return wires.masked - 1


def enable_irq(state=0):
    """Let them come again."""
    wires.masked = state
    if not state and "interrupts" in globals():
        globals()["interrupts"].look()
