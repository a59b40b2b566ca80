"""Makes a MicroPython board understand chat commands: see docs/board-author.md.

::

    from boardtalk import Arg, Board

    rover = Board("rover")

    @rover.command("motion", help="drive forward", distance=Arg(int, "cm", 1, 500))
    async def forward(distance): ...

    rover.run()
"""

import asyncio
import gc

from boardtalk import hal
from boardtalk.client import Client
from boardtalk.dictionary import Dictionary
from boardtalk.values import Arg

__all__ = ["Arg", "Board"]


class Board:
    """A robot.

    Args:
        name: what it is called, unless the gateway's configuration says otherwise.
        version: of the robot's own program.
        about: one line for people.
        stream: a UART that leads to the gateway; None: the broker of boardtalk.json, if there is that
            file, else the console, which is USB on most boards.
    """

    def __init__(self, name, version="", about="", stream=None):
        self._dictionary = Dictionary(name, about)
        line = hal.open_stream(stream)
        self._client = Client(self._dictionary, version, line)
        self._tasks = list(line.tasks)
        self.emit = self._client.emit
        self.log = self._client.log
        self.progress = self._client.dispatcher.progress

    def command(self, cls, help="", limit=10, returns={}, **args):  # noqa: B006 - never changed
        """Declare a function as a command; one with `async def` may take time.

        Args:
            cls: "motion", "action", "config" or "query"; "stop" for what is allowed while stopped.
            help: one line for people.
            limit: seconds after which it is ended; at most 10 for motion.
            returns: what it returns, a dictionary of `Arg`.
            args: its arguments, each an `Arg`.
        """
        return self._declare("commands", args, returns, help, limit, cls)

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

        def declare(code):
            told = values or {code.__name__: Arg(type, unit)}
            self._declare("telemetry", {}, told, help, rate)(code)
            return self.command("query", help, returns=told)(code)

        return declare

    def event(self, name, help="", **values):
        """Declare an event, with the values that come with it, each an `Arg`."""
        self._dictionary.add("events", name, None, {}, values, help)

    def control(self, help="", lease=500, **args):
        """Declare a function as a live control: it gets set-points as they come.

        Args:
            help: one line for people.
            lease: outputs go off if no set-point comes for so long, ms, 200 to 2000.
            args: its arguments, each an `Arg`.
        """
        return self._declare("controls", args, {}, help, lease)

    def on_stop(self, code):
        """Declare the function that takes all outputs into a safe state, at once."""
        self._client.dispatcher.on_stop = code
        return code

    def task(self, code):
        """Declare an `async def` that runs beside the commands from the beginning."""
        self._tasks.append(code)
        return code

    def run(self):
        """Obey the gateway until Ctrl-C; then outputs are off."""
        gc.collect()
        gc.threshold(gc.mem_free() // 4)
        try:
            asyncio.run(self._client.run(self._tasks))
        except KeyboardInterrupt:
            pass
        finally:
            self._client.close()
            asyncio.new_event_loop()  # else MicroPython goes on with the tasks of this one

    def _declare(self, kind, args, returns, help, limit, cls=""):
        def declare(code):
            self._dictionary.add(kind, code.__name__, code, args, returns, help, limit, cls)
            return code

        return declare
