"""Run by a Python that has Belay: calls of a task on a board, one after the other, as JSON.

`with_belay.py PORT BAUD CALLS`. A `belay.Device` and a task as its documents write them, but for what it
imports for convenience: one of these, SPI, is not on the emulated board. Nothing of boardtalk is imported.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

try:
    from belay import Device
except ModuleNotFoundError:
    sys.exit(f"{sys.executable} has no Belay: {sys.executable} -m pip install belay")

WARM_UP = 20


def main(port: str, baud: int, calls: int) -> None:
    """Connect, define the task, call it; print how long each of it took."""
    began = time.perf_counter()
    with Device(port, baudrate=baud, startup="") as device:

        @device.task  # type: ignore[untyped-decorator]
        def add(a: int, b: int) -> int:
            return a + b

        add(1, 2)
        first_s = time.perf_counter() - began
        times = []
        for number in range(WARM_UP + calls):
            began = time.perf_counter()
            if add(number, 1000) != number + 1000:
                sys.exit(f"{port}: a wrong sum")
            times.append(time.perf_counter() - began)
    json.dump({"version": version("belay"), "first_s": first_s, "times": times[WARM_UP:]}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
