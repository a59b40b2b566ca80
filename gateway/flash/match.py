"""Image, definition and chip must fit each other before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.job import Target
from boardtalk.flash.protocol import flasher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.job import Job
    from boardtalk.flash.protocol import Found, Segment


def fitting(job: Job) -> list[BoardFile]:
    """The boards of a job for which its image is right.

    Raises:
        FlashError: it is for none of them.
    """
    fit, why = [], None
    for board in job.boards:
        try:
            _cut(job, board)
        except FlashError as error:
            why = why or error
        else:
            fit.append(board)
    if not fit and why is not None:
        raise why
    return fit


def matched(job: Job, boards: Sequence[BoardFile], found: Found) -> Target:
    """The one of these boards that the loader's answer is of.

    Raises:
        FlashError: it is none of them, or may be several, or its flash is too small.
    """
    board = _matching(job, boards, found)
    target = Target(board, found, _cut(job, board))
    end = max((each.at + len(each.data) - found.flash_at for each in target.segments), default=0)
    if found.flash_bytes and end > found.flash_bytes:
        raise FlashError(
            Code.BAD_IMAGE,
            f"{job.port}: {end // 1024} kB are wanted, and the flash has "
            f"{found.flash_bytes // 1024} kB; nothing was touched",
            "download the firmware for a smaller flash",
        )
    return target


def _matching(job: Job, boards: Sequence[BoardFile], found: Found) -> BoardFile:
    fit = [board for board in boards if board.definition.mcu == found.chip]
    if not fit:
        expected = " or ".join(f"{board.definition.mcu} ({board.id})" for board in boards)
        raise FlashError(
            Code.WRONG_CHIP,
            f"{job.port}: there is a {found.chip}, and not {expected}; nothing was touched",
            "name the right --board; `boardtalk boards list` shows all",
        )
    if len(fit) > 1 and job.what not in {"probe", "backup"}:
        names = " or ".join(board.id for board in fit)
        raise FlashError(Code.WRONG_CHIP, f"{job.port}: is it {names}?", "say so with --board")
    return fit[0]


def _cut(job: Job, board: BoardFile) -> list[Segment]:
    if job.firmware is None:
        return []
    kind = flasher(board.definition)
    at = board.definition.flash.offset if job.firmware.offset is None else job.firmware.offset
    if job.what == "restore":
        return kind.restored(board.definition, job.firmware.data)
    return kind.checked(board.definition, job.firmware.data, at)
