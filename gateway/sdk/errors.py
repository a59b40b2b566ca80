"""What can go wrong, as one tree.

::

    BoardtalkError               everything this project raises on purpose
    ├─ ConfigError               the configuration file; knows path, line and column
    ├─ ModuleError               a module can't be found, checked or started
    ├─ AddressError              not a valid address
    ├─ Refused                   a message or request is refused; carries the status for its sender
    ├─ ServiceError              a service process can't be reached or broke the protocol
    └─ (each package adds its own below one of these)

The text of an error says what failed, on what, and what to do about it: it is shown to people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boardtalk.sdk.messages import Code


def first_error(error: BaseException) -> BaseException:
    """The error inside the groups that task groups put around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class BoardtalkError(Exception):
    """Root of all errors that this project raises on purpose."""


class ConfigError(BoardtalkError):
    """A configuration file is wrong.

    Args:
        reason: what is wrong and what was expected.
        path: the file, or None for settings that come from elsewhere.
        line: 1-based, 0 if unknown.
        column: 1-based, 0 if unknown.
    """

    def __init__(self, reason: str, path: str | None = None, line: int = 0, column: int = 0) -> None:
        self.reason = reason
        self.path = path
        self.line = line
        self.column = column
        where = ":".join(str(part) for part in (path, line, column) if part)
        super().__init__(f"{where}: {reason}" if where else reason)


class ModuleError(BoardtalkError):
    """A module can't be found, does not fit this gateway, does not start, or does not take its settings."""


class AddressError(BoardtalkError, ValueError):
    """A name that can't be an address."""


class Refused(BoardtalkError):
    """A message or a call is refused; raised by modules, and by the gateway to them.

    Args:
        code: the status code that its sender sees.
        reason: why, and what to do, in words: he sees that too.
    """

    def __init__(self, code: Code, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class ServiceError(BoardtalkError):
    """A process that serves the gateway can't be reached, or answered nonsense."""
