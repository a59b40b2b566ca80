"""What an emulated board does before its prompt: mount the flash, then run boot.py and main.py."""

import io
import os
import sys

import flashbdev
import vfs
from machine import wires


def run(names):
    """Run the flash's programs in the name space of the prompt."""
    wires.tell("booted")
    try:
        _mount()
        may_go_on = _execute("boot.py", names)
    finally:
        if os.getenv("BOARDTALK_RAW"):
            sys.stdout.write("\0prompt\0")
    if may_go_on and not os.getenv("BOARDTALK_RAW"):
        _execute("main.py", names)


def _mount():
    root = flashbdev.volume(os.getenv("BOARDTALK_FLASH"), wires)
    vfs.umount("/")
    vfs.mount(root, "/")
    os.chdir("/")
    if "machine.py" in os.listdir():
        del sys.modules["machine"]  # the flash's goes before the built-in one, as on any board
    del sys.modules["_boot"], sys.modules["flashbdev"]
    sys.path[:] = "", ".frozen", "/lib"
    sys.modules["sys"] = System()


def _execute(name, names):
    """Run a file, if it is there. Returns whether the next one may run."""
    if name not in os.listdir():
        return True
    try:
        execfile(name, names)  # noqa: F821 - MicroPython's
    except SystemExit:
        wires.halt("reset 5 0")
    except BaseException as error:
        _complain(error)
        return not isinstance(error, KeyboardInterrupt)
    return True


def _complain(error):
    traceback = io.StringIO()
    sys.print_exception(error, traceback)
    for line in traceback.getvalue().split("\n")[:-1]:
        if "_boot.py" not in line:
            print(line)


class System:
    """`sys`, with a board's platform, and a standard output whose `buffer` is left as it is."""

    def __init__(self):
        self.platform = os.getenv("BOARDTALK_PLATFORM")
        self.stdout = Output()

    def __getattr__(self, name):
        return getattr(sys, name)


class Output(io.IOBase):
    """Standard output.

    A board ends lines of text with CR LF and leaves bytes alone, so the two go to different sockets.
    """

    def __init__(self):
        self.buffer = open(wires.RAW, "wb", 0)
        self.write = sys.stdout.write

    def ioctl(self, request, argument):
        return 1 if request == wires.GET_FILENO else -1
