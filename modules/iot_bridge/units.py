"""Units that people type, and how they convert. One table.

Pint knows more units, but importing it and making its registry took 560 ms and 19 MB where this table
was written; a gateway of Raspberry Pi class has better uses for both.
"""

from __future__ import annotations

from typing import Final

QUANTITIES: Final[dict[str, dict[str, float]]] = {
    "length": {"mm": 0.001, "cm": 0.01, "m": 1.0, "km": 1000.0, "in": 0.0254, "ft": 0.3048},
    "angle": {"deg": 1.0, "°": 1.0, "rad": 57.295779513082321, "turn": 360.0},
    "time": {"us": 1e-6, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0},
    "speed": {"mm/s": 0.001, "cm/s": 0.01, "m/s": 1.0, "km/h": 1 / 3.6},
    "share": {"%": 1.0},
    "voltage": {"mV": 0.001, "V": 1.0},
    "current": {"mA": 0.001, "A": 1.0},
    "power": {"mW": 0.001, "W": 1.0},
    "frequency": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6},
    "mass": {"g": 0.001, "kg": 1.0},
    "rotation": {"rpm": 1.0},
    "pressure": {"Pa": 1.0, "hPa": 100.0, "kPa": 1000.0, "bar": 1e5},
    "acceleration": {"m/s2": 1.0, "m/s²": 1.0},
    "angular speed": {"deg/s": 1.0, "°/s": 1.0, "rad/s": 57.295779513082321},
    "temperature": {"C": 1.0, "°C": 1.0, "K": 1.0, "F": 5 / 9, "°F": 5 / 9},
}
"""Units by quantity, each with its factor to the quantity's own unit."""

_ZERO: Final = {"K": -273.15, "F": -160 / 9, "°F": -160 / 9}
"""Where the scale begins, for temperatures, in °C."""

_QUANTITY: Final = {unit: quantity for quantity, units in QUANTITIES.items() for unit in units}
_FOLDED: Final = {unit.lower(): unit for unit in reversed(_QUANTITY) if unit not in {"mW", "mV", "mA"}}


def known(text: str) -> str | None:
    """A unit as the table spells it, or None. Case counts only where it must (`mW`, `MHz`)."""
    return text if text in _QUANTITY else _FOLDED.get(text.lower())


def quantity(unit: str) -> str | None:
    """What a unit measures, or None for a board's own word."""
    name = known(unit)
    return _QUANTITY[name] if name else None


def siblings(unit: str) -> tuple[str, ...]:
    """The units that convert to `unit`, itself included."""
    measured = quantity(unit)
    return tuple(QUANTITIES[measured]) if measured else (unit,)


def convert(value: float, given: str, wanted: str) -> float | None:
    """A value in another unit; None if the two measure different things."""
    if given == wanted:
        return value
    source, target = known(given), known(wanted)
    if source is None or target is None or _QUANTITY[source] != _QUANTITY[target]:
        return value if given.lower() == wanted.lower() else None
    factors = QUANTITIES[_QUANTITY[source]]
    base = value * factors[source] + _ZERO.get(source, 0.0)
    result = (base - _ZERO.get(target, 0.0)) / factors[target]
    return float(f"{result:.12g}")  # 0.2 m is 20 cm, not 20.000000000000004
