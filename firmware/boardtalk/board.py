"""The robot author's view: declare commands, telemetry, events and controls, then run.

::

    from boardtalk import Arg, Board

    rover = Board("rover")

    @rover.command("motion", help="drive forward", distance=Arg(int, "cm", 1, 500))
    async def forward(distance): ...

    rover.run()
"""

import asyncio

from boardtalk import hal
from boardtalk.client import Client
from boardtalk.dictionary import Dictionary, Entry
from boardtalk.values import Arg, named


class Board:
    """A robot.

    Args:
        name: what it is called, unless the gateway's configuration says otherwise.
        version: of the robot's own program.
        about: one line for people.
        stream: a UART that leads to the gateway; None: the console, which is USB on most boards.
    """

    def __init__(self, name, version="", about="", stream=None):
        self._dictionary = Dictionary(name, about)
        self._client = Client(self._dictionary, version, hal.open_stream(stream))
        self._tasks = []

    def command(self, cls, help="", limit=10, returns=None, **args):
        """Declare a function as a command; one with `async def` may take time.

        Args:
            cls: "motion", "action", "config", "query"; "stop" for what is allowed while stopped.
            help: one line for people.
            limit: seconds after which it is ended; at most 10 for motion.
            returns: what it returns, a dictionary of `Arg`.
            args: its arguments, each an `Arg`.
        """
        _refuse(help, limit)
        if cls not in ("motion", "action", "config", "query", "stop"):
            raise ValueError("there is no class '%s'" % cls)
        if not 0 < limit or (cls == "motion" and limit > 10):
            raise ValueError("motion must end by itself: limit is 10 s at most")

        def declare(code):
            return self._command(code, cls, help, limit, named(args), named(returns or {}))

        return declare

    def telemetry(self, unit="", rate=0, type=float, help="", **values):
        """Declare a function without arguments as a channel of telemetry, and as a query.

        Args:
            unit: of its value.
            rate: reports per second; 0: when it changes.
            type: of its value.
            help: one line for people.
            values: instead of one value, several, each an `Arg`; the function returns them by name
                or in order.
        """
        _refuse(unit, rate, type, help)

        def declare(code):
            name = code.__name__
            returns = named(values or {name: Arg(type, unit)})
            self._dictionary.add("telemetry", Entry(name, code, returns), rate=rate, help=help)
            return self._command(code, "query", help, 10, [], returns)

        return declare

    def event(self, name, help="", **values):
        """Declare an event, with the values that come with it, each an `Arg`."""
        _refuse(name, help)
        self._dictionary.add("events", Entry(name, None, named(values)), help=help)

    def control(self, help="", lease=500, **args):
        """Declare a function as a live control: it gets set-points as they come.

        Args:
            help: one line for people.
            lease: outputs go off if no set-point comes for so long, ms, 200 to 2000.
            args: its arguments, each an `Arg`.
        """
        _refuse(help, lease)
        if not 200 <= lease <= 2000:
            raise ValueError("a lease lasts 200 to 2000 ms")

        def declare(code):
            entry = Entry(code.__name__, code, named(args))
            self._dictionary.add("controls", entry, lease=lease, help=help)
            return code

        return declare

    def on_stop(self, code):
        """Declare the function that takes all outputs into a safe state, at once."""
        self._client.dispatcher.on_stop = code
        return code

    def task(self, code):
        """Declare an `async def` that runs beside the commands from the beginning."""
        self._tasks.append(code)
        return code

    def emit(self, name, **values):
        """Tell an event. False: nobody is there, or too much waits to be told."""
        return self._client.emit(name, values)

    def log(self, text, level=20):
        """Tell people a line of text. `level`: 10 debug, 20 info, 30 warning, 40 error."""
        self._client.log(level, str(text))

    def run(self):
        """Obey the gateway until Ctrl-C; then outputs are off."""
        try:
            asyncio.run(self._client.run(self._tasks))
        except KeyboardInterrupt:
            pass
        finally:
            self._client.close()
            asyncio.new_event_loop()  # else MicroPython goes on with the tasks of this one

    def _command(self, code, cls, help, limit, args, returns):
        entry = Entry(code.__name__, code, args, returns)
        entry.cls = cls
        entry.limit = limit
        part = {"class": cls}
        self._dictionary.add("commands", entry, help=help, limit=limit, returns=returns, **part)
        return code


def _refuse(*settings):
    if any(isinstance(setting, dict) for setting in settings):
        raise ValueError("an argument can't be called like a setting, such as 'help' or 'limit'")
