"""Values: how they are declared, checked and packed."""

from struct import calcsize, pack, unpack_from

from micropython import const

from boardtalk import frames

_TYPES = {int: "int", float: "float", bool: "bool", str: "str"}
_MAX_TEXT_BYTES = const(120)


class Rejected(ValueError):
    """A command or value that is not acceptable; the text says why, for a person."""


class Arg:
    """An argument, a returned value, or what comes with an event.

    `type` is int, float, bool or str. `min` and `max` are inclusive, in `unit`. With `choices`,
    a row of words, it is one of them.
    """

    _made = 0

    def __init__(self, type=str, unit="", min=None, max=None, default=None, choices=(), help=""):
        if type not in _TYPES:
            raise ValueError("Arg: the type must be int, float, bool or str")
        self.name = ""
        self.type = "choice" if choices else _TYPES[type]
        self.unit = unit
        self.min = min
        self.max = max
        self.default = default
        self.choices = tuple(choices)
        self.help = help
        # MicroPython forgets the order of keyword arguments; the order of their making is the same.
        Arg._made += 1
        self.order = Arg._made

    def describe(self):
        """Its entry in the dictionary."""
        entry = {"name": self.name, "type": self.type}
        for key in ("unit", "min", "max", "default", "choices", "help"):
            value = getattr(self, key)
            if value not in (None, "", ()):
                entry[key] = value
        return entry

    def check(self, value):
        """Raise Rejected unless a number fits."""
        if value - value != 0:  # infinite or not a number
            raise Rejected("%s must be a finite number" % self.name)
        if self.min is not None and value < self.min:
            raise Rejected("%s must be at least %s %s" % (self.name, self.min, self.unit))
        if self.max is not None and value > self.max:
            raise Rejected("%s must be at most %s %s" % (self.name, self.max, self.unit))


def named(owner, args):
    """Keyword arguments as a row of values in the order in which they are written."""
    row = sorted(args.values(), key=lambda arg: arg.order)
    for name, arg in args.items():
        if arg.name:
            raise ValueError("%s: write Arg(...) anew for %s; %s has this one" % (owner, name, arg.name))
        arg.name = name
    return row


def clip(text, size):
    """At most `size` bytes of UTF-8, cut between characters."""
    data = text.encode()
    if len(data) > size:
        while data[size] & 0xC0 == 0x80:
            size -= 1
    return data[:size]


def unpack(args, buffer, at, end):
    """The values in buffer[at:end] by name, checked. Raises Rejected."""
    row = {}
    for arg in args:
        code = frames.VALUES[arg.type]
        size = calcsize(code) if code else 1
        if at + size > end:
            raise Rejected("%s is missing" % arg.name)
        if code is None:
            size += buffer[at]
            if at + size > end:
                raise Rejected("%s is cut off" % arg.name)
            value = _text(arg, buffer, at + 1, at + size)
        else:
            value = _from_wire(arg, unpack_from(code, buffer, at)[0])
        row[arg.name] = value
        at += size
    if at != end:
        raise Rejected("there is more than the declared arguments")
    return row


def packed(args, given):
    """Values as bytes: a dictionary by name, a row in order, or a single one. Raises Rejected."""
    if not args:
        return b""
    if not isinstance(given, (dict, tuple, list)):
        given = (given,)
    if len(given) != len(args):
        raise Rejected("%d values instead of %d" % (len(given), len(args)))
    data = b""
    for place, arg in enumerate(args):
        try:
            value = given[arg.name if isinstance(given, dict) else place]
            data += _to_wire(arg, value)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Rejected("%s does not fit: %s" % (arg.name, error))
    return data


def _text(arg, buffer, at, end):
    try:
        return bytes(buffer[at:end]).decode()
    except UnicodeError:
        raise Rejected("%s is not text" % arg.name)


def _from_wire(arg, value):
    if arg.type == "choice":
        if value >= len(arg.choices):
            raise Rejected("%s has no choice %d" % (arg.name, value))
        return arg.choices[value]
    if arg.type == "bool":
        return value != 0
    arg.check(value)
    return value


def _to_wire(arg, value):
    if arg.type == "str":
        text = clip(str(value), _MAX_TEXT_BYTES)
        return bytes([len(text)]) + text
    if arg.type == "choice":
        value = arg.choices.index(value)
    elif arg.type == "int":
        value = round(value)
    elif arg.type == "bool":
        value = 1 if value else 0
    return pack(frames.VALUES[arg.type], value)
