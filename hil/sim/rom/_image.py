"""Copies files into an image of a flash, or out of it: `_image.py fill|drain IMAGE FOLDER`."""

import os
import sys

import vfs
from flashbdev import volume

_FOLDER = 0x4000


def copy(source, target):
    """Copy all that is in a folder."""
    for entry in os.ilistdir(source):
        here, there = source + "/" + entry[0], target + "/" + entry[0]
        if entry[1] == _FOLDER:
            try:
                os.mkdir(there)
            except OSError:
                pass  # it is there
            copy(here, there)
        else:
            with open(here, "rb") as data, open(there, "wb") as file:
                file.write(data.read())


vfs.mount(volume(sys.argv[2]), "/image")
if sys.argv[1] == "fill":
    copy(sys.argv[3], "/image")
else:
    copy("/image", sys.argv[3])
