"""What a protocol is to the rest: one class, in one file, under a name in `boardtalk.flashers`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from importlib.metadata import EntryPoint

    from boardtalk.boards import Definition

GROUP: Final = "boardtalk.flashers"
"""The entry-point group; other packages add protocols there."""


class Segment(NamedTuple):
    """A piece of an image: what is written, compared and repeated at a time."""

    at: int
    """Its address, as the protocol counts."""
    data: bytes


class Found(NamedTuple):
    """What a loader tells of its board."""

    chip: str
    """As `mcu` in definitions."""
    id: str = ""
    """Unique, such as a MAC address; "": the loader does not tell."""
    flash_bytes: int = 0
    """0: not told."""
    flash_at: int = 0
    """The address of its first byte, as the protocol counts."""

    @property
    def told(self) -> str:
        """All of it, for people."""
        parts = (self.chip, self.id, f"{self.flash_bytes // 1024} kB" if self.flash_bytes else "")
        return ", ".join(part for part in parts if part)


class Flasher(ABC):
    """A board in its loader, as an async context manager.

    All methods raise FlashError.

    Args:
        board: what it is taken for.
        port: a serial port, or the folder of a drive.
        baud: bits per second, once the loader has been found.
    """

    blind: ClassVar[bool] = False
    """Nothing can be read from the board, so that nothing is known of what is on it."""
    rated: ClassVar[bool] = True
    """Its line has a rate: another attempt may use a lower one."""

    def __init__(self, board: Definition, port: str, baud: int) -> None:
        self.board = board
        self.port = port
        self.baud = baud

    @classmethod
    @abstractmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:
        """Look at a whole image before anything is touched; its pieces, in the order of writing.

        Raises:
            FlashError: it is damaged, or for another chip.
        """

    @classmethod
    def restored(cls, board: Definition, image: bytes) -> list[Segment]:  # noqa: ARG003 - for those that can
        """The pieces of a backup, which begins where the flash does and may hold anything."""
        raise cls.unsupported("restore a backup")

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Bring the board into its loader."""

    @abstractmethod
    async def __aexit__(self, *_: object) -> None: ...

    @abstractmethod
    async def probe(self) -> Found:
        """Ask who is there."""

    async def holds(self, segment: Segment) -> bool:
        """Whether this is what is on the flash already, by a digest that the board makes or by reading."""
        raise self.unsupported("read what is on the flash")

    @abstractmethod
    def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """Erase and write a piece; its bytes that are done, ever more."""

    async def erase(self) -> None:
        """Erase all of the flash."""
        raise self.unsupported("erase")

    def read(self, size: int) -> AsyncGenerator[bytes, None]:
        """The first bytes of the flash, as they come."""
        raise self.unsupported("make a backup")

    @abstractmethod
    async def reset(self) -> None:
        """Let the program start."""

    @classmethod
    def unsupported(cls, what: str) -> FlashError:
        """The error for what a protocol can't do."""
        return FlashError(Code.UNSUPPORTED, f"the board's loader does not let anybody {what}")


def flasher(board: Definition) -> type[Flasher]:
    """The class that flashes such boards.

    Raises:
        FlashError: there is none, or more than one, or it can't be used.
    """
    wanted = board.flash.protocol
    if wanted == "manual":
        raise FlashError(Code.UNSUPPORTED, f"{board.name} is flashed by hand", board.bootloader.hint)
    known = entry_points(group=GROUP)
    match tuple(known.select(name=wanted)):
        case (point,):
            return _loaded(point)
        case ():
            names = ", ".join(sorted(known.names))
            raise FlashError(
                Code.UNSUPPORTED,
                f"nothing here flashes by {wanted!r}",
                f"there are {names}; packages add more",
            )
        case several:
            raise FlashError(
                Code.UNSUPPORTED,
                f"several packages claim the protocol {wanted!r}: {', '.join(map(_from, several))}",
                "uninstall all but one of them",
            )


def _loaded(point: EntryPoint) -> type[Flasher]:
    """The class behind an entry point. Raises FlashError: it is none, whatever somebody else's code does."""
    where = f"the protocol {point.name!r} of the package {_from(point)}"
    try:
        made = point.load()
    except Exception as error:
        raise FlashError(
            Code.UNSUPPORTED, f"{where} can't be imported: {error!r}", "install it anew, or uninstall it"
        ) from error
    if not (isinstance(made, type) and issubclass(made, Flasher)):
        raise FlashError(
            Code.UNSUPPORTED, f"{where} is no class that derives from {Flasher.__module__}.Flasher"
        )
    if made.__abstractmethods__:
        raise FlashError(Code.UNSUPPORTED, f"{where} lacks {', '.join(sorted(made.__abstractmethods__))}")
    return made


def _from(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
