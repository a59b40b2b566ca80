"""A board's hardware as far as the documentation's programs and the rover's chassis use it."""

import os
from binascii import unhexlify

PWRON_RESET = 1


def unique_id():
    return unhexlify(os.getenv("BOARDTALK_UID", "c0ffee"))


def reset_cause():
    return PWRON_RESET


pins = {}
"""Those in use, by number."""


class Pin:
    IN, OUT, PULL_UP, IRQ_RISING, IRQ_FALLING = range(5)

    def __init__(self, number, mode=IN, pull=None, *, value=1):
        self.level = value
        self.handler = None
        pins[number] = self
        self.duty = None

    def value(self, level=None):
        if level is not None:
            self.level = level
        return self.level

    def irq(self, handler, trigger):
        self.handler = handler


class PWM:
    def __init__(self, pin, *, freq, duty_u16):
        self.pin = pin
        pin.duty = duty_u16

    def duty_u16(self, duty=None):
        if duty is not None:
            assert duty in range(65536)
            self.pin.duty = duty
        return self.pin.duty


class ADC:
    def __init__(self, pin):
        pass

    def read_u16(self):
        return 52000


def UART(number, baudrate, *, tx, rx, rxbuf, timeout):  # noqa: N802 - a class on boards
    return open(0, "r+b", 0)


class WDT:
    def __init__(self, timeout):
        pass

    def feed(self):
        print("fed")
