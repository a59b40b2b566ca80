"""The log: one line per event on standard error, for people and journald alike."""

from __future__ import annotations

import logging
import re
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict

RECENT: Final[deque[str]] = deque(maxlen=500)
"""What was logged last, for a diagnosis: only journald, if anybody, keeps it otherwise."""
MAX_RECENT_CHARS: Final = 2000
"""Of each."""
_COLORS: Final = re.compile(r"\x1b\[[\d;]*m")


def configure(level: str = "info") -> None:
    """Log events of `level` and above."""
    colors = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _harmless,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True),
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )


class _Unfailing:
    """Standard error, whatever it is: a log that can't be written must not keep anybody from working.

    Its disk may be full, or who read it has gone.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        if text.strip():
            RECENT.append(_COLORS.sub("", text)[:MAX_RECENT_CHARS])
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def _harmless(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Escape what would steer the terminal: much of what is logged comes from outside."""
    return {key: _escaped(value) if isinstance(value, str) else value for key, value in event.items()}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
