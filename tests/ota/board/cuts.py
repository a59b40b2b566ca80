"""Cuts the power of a board at writes and erases of an update, or of its installation: run by MicroPython.

`micropython cuts.py update|install lfs|fat FIRST SHARE FOLDER KEY`: of all cuts, each SHARE-th from number
FIRST on. KEY is a file with modulus and private exponent, by which releases are signed. What it prints last
is one JSON object. The file systems are MicroPython's own, on a block device in memory that loses its power
in the middle of a block; the code is the firmware's.
"""

import asyncio
import gc
import json
import os
import sys
from binascii import crc32, hexlify, unhexlify
from hashlib import sha256
from struct import pack, unpack_from

import vfs

FIRMWARE = "slots", "ota_client", "ota_rsa", "ota_manifest", "ota_slot", "ota"
BLOCKS = {"lfs": (1024, 96), "fat": (512, 256)}
"""Size and number."""
KEY = bytes(range(32))
UID = b"\x01\x02\x03\x04"
TEARS = 0.0, 0.015, 0.5, 0.95
"""How much of a block is written when the power goes; the second is half a record of `slots`."""

FIRST = {"main.py": "0", "lib/part.py": "0", "same.bin": "s" * 3000}
OLD = {"main.py": "1", "lib/part.py": "1", "same.bin": "s" * 3000, "gone.py": "1"}
NEW = {"main.py": "2", "lib/part.py": "2", "same.bin": "s" * 3000, "new/more.bin": "m" * 5000}
MAIN = "import sys\nsys.path.insert(0, sys.path[0] + '/lib')\nimport part\nran.append((%s, part.VERSION))\n"


def contents(files):
    found = {}
    for name, text in files.items():
        found[name] = text.encode()
        if name == "main.py":
            found[name] = (MAIN % text).encode() + b"#" * 1500 + b"\n"
        elif name.endswith(".py"):
            found[name] = b"VERSION = %s\n" % text.encode()
    return found


class Off(BaseException):
    """There is no power."""


class Reset(BaseException):
    """The board starts anew."""


class Device:
    def __init__(self, kind, data, cut=-1, tear=0.0):
        self.size, count = BLOCKS[kind]
        self.data = data or bytearray(b"\xff" * (self.size * count))
        self.count = count
        self.cut = cut
        self.tear = tear
        self.writes = 0
        self.off = False

    def readblocks(self, block, into, offset=0):
        at = block * self.size + offset
        into[:] = self.data[at : at + len(into)]

    def writeblocks(self, block, source, offset=0):
        if self.off:
            raise OSError(5)
        length = len(source)
        if self.writes == self.cut:
            self.off = True
            length = int(length * self.tear)
        self.writes += 1
        at = block * self.size + offset
        self.data[at : at + length] = source[:length]
        if self.off:
            raise OSError(5)

    def ioctl(self, request, argument):
        if request == 4:
            return self.count
        if request == 5:
            return self.size
        if request == 6:
            self.writeblocks(argument, b"\xff" * self.size)
        return 0


class Link:
    """What the client hands over, and what it is told."""

    def __init__(self):
        self.type = 0
        self.buffer = b""
        self.at = self.end = 0
        self.outbox = self
        self.told = []

    def add(self, type_, payload):
        self.told.append(bytes(payload))


class Client:
    def __init__(self):
        self.link = Link()
        self.dispatcher = self
        self.latched = True

    def halt(self):
        pass


def mounted(kind, device):
    system = vfs.VfsLfs2 if kind == "lfs" else vfs.VfsFat
    vfs.mount(system(device), "/")
    os.chdir("/")


def used(kind):
    """A board that was updated once: the old release runs from /b, and /a has what was before."""
    device = Device(kind, formatted(kind))
    powered(kind, device, lambda: finished(*started(), contents(OLD), "0"))
    return device.data


def formatted(kind):
    """A board as it is delivered, with a release in /a."""
    device = Device(kind, None)
    (vfs.VfsLfs2 if kind == "lfs" else vfs.VfsFat).mkfs(device)
    mounted(kind, device)
    with open("/ota.key", "w") as file:
        file.write(hexlify(KEY).decode())
    with open("/ota.pub", "w") as file:
        file.write("%x" % MODULUS)
    os.mkdir("/a")
    os.mkdir("/a/lib")
    for name, data in contents(FIRST).items():
        with open("/a/" + name, "wb") as file:
            file.write(data)
    vfs.umount("/")
    return device.data


class Loaded:
    """A module, anew after each reset."""

    def __init__(self, name):
        self.names = {"__name__": name}
        sys.modules[name] = self
        exec(CODE[name], self.names)  # noqa: S102 - as an import does

    def __getattr__(self, name):
        try:
            return self.names[name]
        except KeyError:
            raise AttributeError(name) from None


def reset():
    raise Reset


def started():
    """The board's loader after a reset, and which release has run: "1" or "2" if it was all of it."""
    for name in FIRMWARE + ("part",):  # noqa: RUF005 - MicroPython has it so
        sys.modules.pop(name, None)
    sys.path[:] = PATH
    for name in FIRMWARE:
        Loaded(name)
    slots = sys.modules["slots"]
    ran = []
    try:
        slots.run({"ran": ran})
    except Reset:  # on trial a program that ends starts again; ours has only told its release
        pass
    sys.path[:] = PATH
    return slots, str(ran[0][0]) if ran and ran[0][0] == ran[0][1] else "broken"


class Host:
    """The gateway's end, in miniature."""

    def __init__(self, client, ota):
        self.client = client
        self.ota = ota
        self.sent = 0

    def say(self, type_, payload):
        link = self.client.link
        link.type, link.buffer, link.at, link.end = type_, payload, 0, len(payload)
        self.ota.obey(self.client)

    async def ask(self, payload):
        """The answers to a step, up to the one that ends it."""
        told = self.client.link.told
        told.clear()
        self.say(OTA, payload)
        while not told or told[-1][0] != payload[0]:
            await asyncio.sleep(0)
        if told[-1][1]:
            raise ValueError(told[-1])
        return told[:-1]

    async def push(self, files, release):
        """A whole update: what is missing, and no more."""
        names = sorted(files)
        rest = b"version x\nsigned 1\n"
        for name in names:
            digest = hexlify(sha256(files[name]).digest())
            rest += b"file %d %s %s\n" % (len(files[name]), digest, name.encode())
        text = FORMAT + b"board %s\nrelease %d\n" % (hexlify(UID), release) + rest
        text += b"rsa %x\n" % signature(FORMAT + rest)
        text += b"mac %s\n" % hexlify(sys.modules["ota_manifest"].mac((text,)))
        await self.ask(pack("<BH", MANIFEST, len(text)))
        self.say(DATA, text)
        missing = []
        for answer in await self.ask(bytes([BEGIN])):
            missing.extend(unpack_from("<HII", answer, at) for at in range(2, len(answer), 10))
        for number, have, crc in missing:
            data = files[names[number]]
            offset = have if crc32(data[:have]) == crc else 0
            self.say(OTA, pack("<BHI", FILE, number, offset))
            for at in range(offset, len(data), 200):
                self.say(DATA, data[at : at + 200])
                self.sent += len(data[at : at + 200])
        await self.ask(bytes([COMMIT]))
        while True:  # until it starts anew
            await asyncio.sleep_ms(1)


signatures = {}


def signature(text):
    """As `boardtalk ota sign` makes it; it takes its time."""
    if text not in signatures:
        end = b"\0" + unhexlify("3031300d060960864801650304020105000420") + sha256(text).digest()
        padded = b"\0\1" + b"\xff" * (384 - 2 - len(end)) + end
        signatures[text] = pow(int.from_bytes(padded, "big"), EXPONENT, MODULUS)
    return signatures[text]


def updated(files, release):
    """Push the new release; returns the bytes that were sent of its files."""
    host = Host(Client(), sys.modules["ota"])
    try:
        asyncio.run(host.push(files, release))
    except Reset:
        pass
    finally:
        asyncio.new_event_loop()
    return host.sent


def finished(slots, ran, files, before="1"):
    """From whatever a board runs to these files for good. Returns the bytes sent."""
    sent = 0
    if ran == before:
        sent = updated(files, slots.load()[-1] + 1)
        slots, ran = started()
    if slots.trial:
        slots.confirm()
    return sent


def powered(kind, device, what):
    """Do something with a board that has power. Returns what it did; None: the power failed."""
    try:
        mounted(kind, device)
        return what()
    except Exception:
        if not device.off:
            raise
        return None
    finally:
        try:
            vfs.umount("/")
        except OSError:
            pass


def update():
    """Start, update, start on trial, confirm, start."""
    sent = finished(*started(), contents(NEW))
    return started()[1], sent


def install():
    """What mpremote does, with what `boardtalk ota install` gives it; then start."""
    for name in ("slots.0", "slots.1", "a.txt", "b.txt"):
        try:
            os.remove("/" + name)
        except OSError:
            pass
    for name, data in sorted(INSTALLED.items()):
        for at in range(1, len(name)):
            if name[at] == "/":
                try:
                    os.mkdir(name[:at])
                except OSError:
                    pass
        with open(name, "wb") as file:
            for at in range(0, len(data), 256):
                file.write(data[at : at + 256])
    return started()[1], 0


STORIES = {"update": update, "install": install}


def cut(story, kind, base, number, tear):
    """Cut the power at a write; then start, and try again. Returns what went wrong, and the bytes sent."""
    device = Device(kind, bytearray(base), number, tear)
    powered(kind, device, story)
    if not device.off:
        return "no cut", 0
    device = Device(kind, device.data)
    try:
        ran = powered(kind, device, lambda: started()[1]) if story == update else "1"  # else by cable again
        if ran not in ("1", "2"):
            return "does not boot: %s" % ran, 0
        ran, sent = powered(kind, device, story)
        return "" if ran == "2" else "retry does not finish: %s" % ran, sent
    except Exception as error:
        sys.print_exception(error)
        return "%s: %s" % (type(error).__name__, error), 0


def main(story, kind, seed, share):
    base = used(kind)
    device = Device(kind, bytearray(base))
    ran, whole = powered(kind, device, story)
    assert ran == "2"
    faults, cuts, sent = [], 0, 0
    for number in range(seed, len(TEARS) * device.writes, share):
        write, tear = number // len(TEARS), TEARS[number % len(TEARS)]
        fault, bytes_ = cut(story, kind, base, write, tear)
        cuts += 1
        sent += bytes_
        if fault:
            faults.append("write %d of %d, torn at %g: %s" % (write, device.writes, tear, fault))
    told = {"writes": device.writes, "cuts": cuts, "faults": faults, "sent": sent, "whole": whole}
    print(json.dumps(told))


def load_code(folder):
    """Slots and updates, to run again and again."""
    code = {}
    for name in FIRMWARE:
        with open(folder + "/" + name + ".py") as file:
            source = file.read().replace("_FAREWELL_MS = const(300)", "_FAREWELL_MS = const(1)")
            source = source.replace("_SYNC_BYTES = const(16384)", "_SYNC_BYTES = const(4096)")
            code[name] = compile(source, name + ".py", "exec")
    return code


def load_files(folder):
    """What an installation puts onto a board: the loader, keys and a release."""
    found = {"/a/" + name: data for name, data in contents(NEW).items()}
    found["/ota.key"], found["/ota.pub"], found["/a.txt"] = hexlify(KEY), b"%x" % MODULUS, b"version x\n"
    for name in FIRMWARE + ("main",):  # noqa: RUF005 - MicroPython has it so
        with open(folder + "/" + name + ".py", "rb") as file:
            found["/" + name + ".py"] = file.read()
    return found


import machine  # noqa: E402

from boardtalk import hal  # noqa: E402

machine.reset = reset
hal.uid = lambda: hexlify(UID).decode()
gc.disable()  # it would close files of boards that have lost their power
OTA, DATA = 12, 13
MANIFEST, BEGIN, FILE, COMMIT = 1, 2, 3, 4
FORMAT = b"boardtalk-ota 1\n"
STORY, KIND, FIRST_CUT, SHARE, FOLDER, KEY_FILE = sys.argv[1:]
with open(KEY_FILE) as numbers:
    MODULUS, EXPONENT = (int(number, 16) for number in numbers.read().split())
CODE = load_code(FOLDER)  # compiled before the files of the host vanish
INSTALLED = load_files(FOLDER)
PATH = [".frozen"]
vfs.umount("/")
main(STORIES[STORY], KIND, int(FIRST_CUT), int(SHARE))
