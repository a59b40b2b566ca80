"""What a frame leaves behind for the garbage collector."""

import gc
import json
import os
from binascii import unhexlify

from stream import Stream

from boardtalk.framing import Line
from boardtalk.link import Link

with open(os.getenv("VECTORS")) as file:
    VECTORS = {vector["name"]: vector for vector in json.load(file)}

FRAMES = 64
LIMIT_BYTES = 128


class Echo:
    """A stream that gives the same chunks again and again and swallows what it gets."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.at = 0

    def readinto(self, view):
        chunk = self.chunks[self.at % len(self.chunks)]
        self.at += 1
        for index in range(len(chunk)):
            view[index] = chunk[index]
        return len(chunk)

    def write(self, data, size):
        return size


def test_a_command_frame_and_its_acknowledgement():
    command = VECTORS["command"]
    build = Line(Stream())
    build.seed = 77
    for number in range(256):
        build.send(0, number, command["type"], unhexlify(command["payload"]))
    wire = bytes(build._stream.gone)
    frames = [b"\0" + part + b"\0" for part in wire.split(b"\0") if part]
    chunks = [b"".join(frames[at : at + 8]) for at in range(0, 256, 8)]
    link = Link(Echo(chunks))
    line = link.line
    link.open(77)

    def chunk():
        line.fill()
        taken = 0
        while link.receive() is not None:
            pass
        while link.take():
            taken += 1
        link.flush()
        return taken

    assert chunk() == 8
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(FRAMES // 8):
        chunk()
    used = gc.mem_alloc() - before
    gc.enable()
    print("garbage per frame:", used // FRAMES, "bytes")
    assert used <= LIMIT_BYTES * FRAMES
