"""The robot author's view: declare commands, telemetry, events and controls, then run.

::

    from boardtalk import Arg, Board

    rover = Board("rover")

    @rover.command("motion", help="drive forward", distance=Arg(int, "cm", 1, 500))
    async def forward(distance): ...

    rover.run()
"""

import asyncio

from boardtalk import hal, link
from boardtalk.client import Client
from boardtalk.dictionary import Channel, Command, Control, Dictionary, Event
from boardtalk.values import Arg


class Board:
    """A robot.

    Args:
        name: what it is called, unless the gateway's configuration says otherwise.
        version: of the robot's own program.
        about: one line for people.
        stream: a UART that leads to the gateway; None: the console, which is USB on most boards.
    """

    def __init__(self, name, version="", about="", stream=None):
        self._declared = Dictionary(name, about)
        self._client = Client(self._declared, version, hal.open_stream(stream))
        self._tasks = []

    # Declaring ----------------------------------------------------------------------------------

    def command(self, cls, help="", limit=10, returns=None, **args):
        """Declare a function as a command. With `async def` it may take time.

        Args:
            cls: "motion", "action", "config", "query"; "stop" for what is allowed while stopped.
            help: one line for people.
            limit: seconds after which it is ended; at most 10 for motion.
            returns: what it returns, a dictionary of `Arg`.
            args: its arguments, each an `Arg`.
        """
        _no_args(help=help, limit=limit, returns=returns)

        def declare(code):
            self._declared.add(Command(code.__name__, args, help, code, cls, returns, limit))
            return code

        return declare

    def telemetry(self, unit="", rate=0, type=float, help="", **values):
        """Declare a function without arguments as a channel of telemetry, and as a query.

        Args:
            unit: of its value.
            type: of its value.
            rate: reports per second; 0: when it changes.
            help: one line for people.
            values: instead of one value, several, each an `Arg`; the function returns them as a
                dictionary or in order.
        """
        _no_args(unit=unit, rate=rate, type=type, help=help)

        def declare(code):
            name = code.__name__
            channel = Channel(name, values or {name: Arg(type, unit)}, help, code, rate)
            self._declared.add(channel)
            self._declared.add(Command(name, {}, help, code, "query", channel.values, 10))
            return code

        return declare

    def event(self, name, help="", **values):
        """Declare an event, with the values that come with it, each an `Arg`."""
        _no_args(name=name, help=help)
        self._declared.add(Event(name, values, help))

    def control(self, help="", lease=500, **args):
        """Declare a function as a live control: it gets set-points as they come.

        Args:
            help: one line for people.
            lease: outputs go off if no set-point comes for so long, in ms, 200 to 2000.
            args: its arguments, each an `Arg`.
        """
        _no_args(help=help, lease=lease)

        def declare(code):
            self._declared.add(Control(code.__name__, args, help, code, lease))
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

    # Running ------------------------------------------------------------------------------------

    def emit(self, name, **values):
        """Tell an event. False: nobody is there, or too much waits to be told."""
        return self._client.emit(name, values)

    def log(self, text, level=link.INFO):
        """Tell people a line of text; `level` is 10 (debug), 20, 30 (warning) or 40 (error)."""
        self._client.link.log(level, str(text))

    def run(self):
        """Obey the gateway until Ctrl-C; then outputs are off."""
        try:
            asyncio.run(self._client.run(self._tasks))
        except (KeyboardInterrupt, EOFError):
            pass
        finally:
            self._client.close()
            hal.forget_tasks()


def _no_args(**settings):
    for name, value in settings.items():
        if isinstance(value, Arg) and not name == "returns":
            raise ValueError("'%s' can't be the name of an argument here" % name)
