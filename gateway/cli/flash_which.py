"""Which boards `boardtalk flash` is about: what its commands share, and what is plugged in that fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from boardtalk import boards as definitions
from boardtalk.cli.common import MoreBoards  # noqa: TC001 - the command line reads it
from boardtalk.flash.detect import plugged
from boardtalk.flash.errors import Code, FlashError
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.detect import Plugged

Ports = Annotated[
    tuple[str, ...],
    Parameter(name="--port", help="A serial port, a drive's folder, or a board's address; repeatable."),
]
All = Annotated[
    bool,
    Parameter(
        name="--all",
        help="All boards whose USB id says what they are; with --board, all that may be it.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """What all commands take."""

    board: Annotated[str, Parameter(name="--board", help="What it is: an id of `boardtalk boards list`.")] = (
        ""
    )
    jobs: Annotated[
        int,
        Parameter(
            name="--jobs",
            validator=validators.Number(gte=0),
            help="At most so many boards at a time; 0: two for each core.",
        ),
    ] = 0
    folder: MoreBoards = ()
    state: StateFolder = None
    json: AsJson = False

    @property
    def known(self) -> dict[str, BoardFile]:
        """All definitions. Raises DefinitionError."""
        return definitions.definitions([*definitions.folders(), *self.folder])


COMMON: Final = Common()
"""Nothing of it is said."""


def chosen(
    common: Common, ports: Sequence[str], *, everything: bool = False
) -> list[tuple[str, list[BoardFile]]]:
    """Ports, and what may be there. Raises FlashError or DefinitionError if that does not say enough."""
    known, board = common.known, common.board
    named = [known[board]] if board in known else []
    if board and not named:
        definitions.definition(board, [each.path.parent for each in known.values()])
    found = plugged(known)
    if not ports:
        may_be = [each for each in found if each.boards and (not board or named[0] in each.boards)]
        if not board:
            may_be = [each for each in may_be if not each.bridge]
        if not may_be or (len(may_be) > 1 and not everything):
            raise FlashError(
                Code.PORT_MISSING, _which(found, len(may_be)), "name one: --port PORT --board ID"
            )
        ports = [each.port for each in may_be]
    if named:
        return [(port, named) for port in ports]
    return [(port, _alike(port, found)) for port in ports]


def _which(found: Sequence[Plugged], fit: int) -> str:
    seen = ", ".join(f"{each.port} ({each.usb or each.name})" for each in found) or "nothing"
    return f"which board? {fit or 'none'} can be told by its USB id; plugged in: {seen}"


def _alike(port: str, found: Sequence[Plugged]) -> list[BoardFile]:
    """What may be at a port, flashed in one way."""
    real = str(Path(port).resolve())
    here = next((each for each in found if each.port in {port, real}), None)
    if here is None or not here.boards:
        ids = f"its USB id is {here.usb}, which no definition has" if here else "it is no USB device"
        raise FlashError(
            Code.UNSUPPORTED,
            f"{port}: which board is it? {ids}",
            f"say so with --board, or put a definition into {definitions.user_folder()} "
            "(`boardtalk boards show` prints one to begin with)",
        )
    if len({board.definition.flash.protocol for board in here.boards}) > 1:
        names = ", ".join(board.id for board in here.boards)
        raise FlashError(Code.UNSUPPORTED, f"{port}: it may be {names}", "say which with --board")
    return here.boards
