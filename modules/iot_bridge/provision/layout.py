"""What goes where on a board."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from boardtalk.modules.iot_bridge.ota.install import FIRST_SLOT
from boardtalk.modules.iot_bridge.provision.compiler import CURE, SOURCE_WORDS, compiled, sources
from boardtalk.sdk.provision import ProvisionError

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.ota.release import Release

CLIENT: Final = "boardtalk"
MQTT: Final = "umqtt"
MAIN: Final = "/main.py"
KEY: Final = "/ota.key"
SETTINGS: Final = "/boardtalk.json"
AUTHORITY: Final = "/broker.der"
RECORDS: Final = ["/slots.0", "/slots.1", "/b.txt"]
"""Of the loader: without them the first slot runs."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a board says of itself at its prompt."""

    name: str
    """`micropython`, or a relative of it."""
    version: tuple[int, ...]
    bytecode: int
    platform: str
    uid: Annotated[str, Meta(pattern=r"^[0-9a-f]{2,64}\Z")]
    wide: bool
    """Its machine words have 64 bits."""
    memory: int
    """Bytes that are free."""
    room: tuple[int, int]
    """Bytes in a block of its flash, and blocks that are free; 0: it does not say."""
    loader: bool
    """It has the loader, which is its main.py then."""
    program: bool
    """It has a main.py."""
    settings: bool
    """It has a boardtalk.json: it comes by a broker."""
    umqtt: bool


@dataclass
class Layout:
    """Files by their paths, and what else there must not be."""

    files: dict[str, bytes] = field(default_factory=dict)
    owned: list[str] = field(default_factory=list)
    """Folders in which nothing else stays."""
    forgotten: list[str] = field(default_factory=list)
    """Files that go."""
    said: str = ""
    """For people."""

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    @property
    def digest(self) -> str:
        """Of all that is no secret."""
        secrets = {KEY, SETTINGS}
        open_ = sorted(path for path in self.files if path not in secrets)
        return sha256(
            "".join(path + sha256(self.files[path]).hexdigest() for path in open_).encode()
        ).hexdigest()

    def main_last(self) -> None:
        """The program's beginning is put there when the rest is."""
        if main := self.files.pop(MAIN, None):
            self.files[MAIN] = main

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        """Files for a folder."""
        self.files |= {f"{folder}/{name}": data for name, data in files.items()}


async def client(layout: Layout, board: Found, *, network: bool) -> None:
    """The client, compiled for the board if that is possible.

    Raises:
        ProvisionError: it isn't, and the sources are too much for the board's memory.
    """
    packages = [CLIENT, *([MQTT] if network and not board.umqtt else [])]
    needed = SOURCE_WORDS * (8 if board.wide else 4)
    for package in packages:
        modules = sources(package)
        made = await compiled(modules, board.bytecode)
        if not made and board.memory < needed:
            raise ProvisionError(
                "unsupported",
                f"there is no mpy-cross here for bytecode {board.bytecode}, and for sources the board has "
                f"too little memory: {board.memory // 1024} kB free, {needed // 1024} kB are needed",
                CURE,
            )
        layout.put(f"/{package}", made or modules)
        layout.owned.append(f"/{package}")
        layout.said = (
            f"compiled, bytecode {board.bytecode}"
            if made
            else f"sources: no mpy-cross here for bytecode {board.bytecode}"
        )


def robot(layout: Layout, release: Release, loader: dict[str, bytes]) -> None:
    """The robot's program: in the first slot, if there is a loader, else beside the client.

    Raises:
        ProvisionError: it has files that are not its own.
    """
    files = {each.path: each.data for each in release.files}
    if loader:
        layout.put(f"/{FIRST_SLOT}", files)
        layout.put("", {f"{FIRST_SLOT}.txt": f"version {release.label}\n".encode()})
        layout.put("", loader)
        layout.owned.append(f"/{FIRST_SLOT}")
        layout.forgotten += RECORDS
    elif any(name.split("/")[0] == CLIENT for name in files):
        raise ProvisionError(
            "bad-image", f"{CLIENT}/ is among the robot's files", "the client comes by itself"
        )
    else:
        layout.put("", files)
        # MicroPython takes a .py before the .mpy of the same name
        layout.forgotten += [f"/{name.removesuffix('.mpy')}.py" for name in files if name.endswith(".mpy")]
        layout.forgotten = [path for path in layout.forgotten if path not in layout.files]
