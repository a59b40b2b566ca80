"""The rover's chassis: two gear motors with encoders on an H bridge such as the DRV8833.

Put in the pins and measures of yours. A chassis without encoders can't know how far it has gone.
"""

import sys
from math import cos, degrees, sin
from time import sleep_us, ticks_diff, ticks_us

from machine import ADC, PWM, Pin
from micropython import const

TOP_SPEED = 60  # cm/s at full power
ACCELERATION = 100  # cm/s², as hard as the motors brake when their power is lowered
TRACK = 12  # cm between the wheels

_PULSE_CM = 0.05  # way of a wheel between two pulses of its encoder
_PWM_HZ = const(20_000)  # above what people hear
_FULL = const(65535)  # duty, and reading of an ADC
_ECHO_US = const(58)  # for each cm, there and back
_RANGE = 400.0  # cm

# Pins of the motors (forward, backward, encoder), horn, bumper (a switch to ground), sonar (trigger, echo)
# and the battery's divider, and the voltage of the battery at which the ADC reads full.
LEFT, RIGHT, HORN, BUMPER, SONAR, BATTERY, FULL_VOLTS = {
    "rp2": ((2, 3, 6), (4, 5, 7), 8, 9, (10, 11), 26, 9.9),  # 3.3 V behind 20k : 10k
    "esp32": ((25, 26, 32), (27, 14, 33), 13, 4, (5, 18), 36, 10.0),  # 1 V behind 90k : 10k
}[sys.platform]


class Wheel:
    """A motor and its encoder."""

    def __init__(self, forward, backward, encoder):
        self._forward = PWM(Pin(forward), freq=_PWM_HZ, duty_u16=0)
        self._backward = PWM(Pin(backward), freq=_PWM_HZ, duty_u16=0)
        self._step = 1
        self.place = 0
        """Pulses forward less pulses backward."""
        Pin(encoder, Pin.IN, Pin.PULL_UP).irq(self._pulse, Pin.IRQ_RISING)

    def drive(self, power):
        """Set the power, % of full, negative for backward."""
        duty = min(_FULL, int(abs(power) * _FULL / 100))
        self._step = -1 if power < 0 else 1
        self._forward.duty_u16(duty if power > 0 else 0)
        self._backward.duty_u16(duty if power < 0 else 0)

    def brake(self):
        """Short-circuit the motor."""
        self._forward.duty_u16(_FULL)
        self._backward.duty_u16(_FULL)

    def _pulse(self, pin):
        self.place += self._step


class Sonar:
    """An HC-SR04, whose 5 V need a divider. It waits for no echo: each reading is of the ping before."""

    def __init__(self, trigger, echo):
        self._trigger = Pin(trigger, Pin.OUT, value=0)
        self._began = ticks_us()
        self._width = _ECHO_US * int(_RANGE)
        Pin(echo, Pin.IN).irq(self._edge, Pin.IRQ_RISING | Pin.IRQ_FALLING)

    def distance(self):
        """Free way, cm; 400 at most."""
        self._trigger.value(1)
        sleep_us(10)
        self._trigger.value(0)
        return min(_RANGE, round(self._width / _ECHO_US, 1))

    def _edge(self, pin):
        now = ticks_us()
        if pin.value():
            self._began = now
        else:
            self._width = ticks_diff(now, self._began)


class Chassis:
    """Two wheels, a horn, a bumper, a sonar and a battery."""

    def __init__(self):
        self._left = Wheel(*LEFT)
        self._right = Wheel(*RIGHT)
        self._horn = Pin(HORN, Pin.OUT, value=0)
        self._bumper = Pin(BUMPER, Pin.IN, Pin.PULL_UP)
        self._sonar = Sonar(*SONAR)
        self._battery = ADC(Pin(BATTERY))
        self._places = (0, 0)
        self._x = self._y = self._heading = self._rolled = 0.0

    def drive(self, left, right):
        """Set the power of the wheels, % of full, negative for backward."""
        self._left.drive(left)
        self._right.drive(right)

    def stop(self):
        """Power off, brakes on."""
        self._left.brake()
        self._right.brake()

    def horn(self, on):
        """Sound the horn or be silent."""
        self._horn.value(on)

    def odometer(self):
        """Mean way that the wheels have rolled, cm, in either direction."""
        self._move()
        return self._rolled

    def position(self):
        """(x, y, heading) in cm and degrees from where it started; heading is positive to the left."""
        self._move()
        return round(self._x, 1), round(self._y, 1), round(degrees(self._heading), 1)

    def battery(self):
        """Voltage."""
        return round(self._battery.read_u16() * FULL_VOLTS / _FULL, 2)

    def bumper(self):
        """Whether it touches something in front."""
        return not self._bumper.value()

    def distance(self):
        """Free way in front, cm; 400: as far as it sees."""
        return self._sonar.distance()

    def _move(self):
        """Reckon with what the wheels have done since the last time: look often."""
        places = self._left.place, self._right.place
        left = (places[0] - self._places[0]) * _PULSE_CM
        right = (places[1] - self._places[1]) * _PULSE_CM
        self._places = places
        self._rolled += (abs(left) + abs(right)) / 2
        self._heading += (right - left) / TRACK
        self._x += (left + right) / 2 * cos(self._heading)
        self._y += (left + right) / 2 * sin(self._heading)
