"""Run something in the background, for good: it outlives whoever started it."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG_BYTES: Final = 1 << 20
"""The log is started anew beyond this; one old one is kept."""
READY: Final = "ready"


def detach(work: Callable[[Callable[[], None]], None], log_path: Path) -> int:
    """Run `work` in a process of its own session; return when it says that it is ready.

    Args:
        work: gets a function to call when it is ready; runs until it is done.
        log_path: where its log goes, and anything that it prints.

    Returns:
        The exit code: 0, or 1 after saying on standard error why it did not get ready.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        if said == READY:
            return 0
        sys.stderr.write(f"{said or 'it ended without a word'}\n")
        return 1
    os.close(reader)
    os._exit(_background(work, log_path, writer))


def _background(work: Callable[[Callable[[], None]], None], log_path: Path, pipe: int) -> int:
    def say(word: str) -> None:
        with suppress(OSError):
            os.write(pipe, word.encode())
            os.close(pipe)

    try:
        os.setsid()
        log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _redirect(log_path)
        work(lambda: say(READY))
    except (BoardtalkError, OSError) as error:
        say(str(error))
        logging.getLogger(__name__).error("%s", error)
        return 1
    except BaseException as error:
        say(repr(error))
        logging.getLogger(__name__).exception("link process")
        return 1
    return 0


def _redirect(log_path: Path) -> None:
    """Log to a file; what is printed nevertheless goes there too. Nothing holds the old terminal."""
    before = os.umask(0o077)
    handler = RotatingFileHandler(log_path, maxBytes=LOG_BYTES, backupCount=1)
    os.umask(before)
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=[handler])
    logging.raiseExceptions = False  # of a disk that is full, the log on it has nothing to say
    stream = handler.stream
    assert stream is not None  # noqa: S101 - just opened
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    os.close(nothing)
