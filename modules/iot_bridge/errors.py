"""What can go wrong between gateway and board.

::

    BoardtalkError
    └─ LinkError                 something about a board or the way to it
       ├─ PortError              the port itself
       │  ├─ PortMissing         it is not there
       │  ├─ PortBusy            somebody else has it
       │  ├─ PortDenied          this user may not open it
       │  └─ PortLost            it vanished while in use
       ├─ SessionError           no session with the board
       │  ├─ NoHello             nobody answers who speaks our language
       │  ├─ VersionError        no protocol version in common
       │  ├─ WrongBoard          another board than the one expected
       │  └─ SessionLost         the board restarted, fell silent or answers nonsense
       ├─ UpdateRefused          the board does not take an update, or it did not prove itself
       ├─ LinkBusy               too much waits for the line already
       ├─ TooLong                more than fits into a frame
       └─ DictionaryError        its dictionary makes no sense, or a value does not fit it
"""

from __future__ import annotations

from boardtalk.sdk import BoardtalkError


class LinkError(BoardtalkError):
    """Something about a board, or the way to it, failed."""


class PortError(LinkError):
    """A port can't be used."""


class PortMissing(PortError):
    """There is no such port."""


class PortBusy(PortError):
    """Another program has the port."""


class PortDenied(PortError):
    """This user may not open the port."""


class PortLost(PortError):
    """The port vanished while in use."""


class SessionError(LinkError):
    """No session with the board."""


class NoHello(SessionError):
    """Nobody at the other end of the line says hello."""


class VersionError(SessionError):
    """Board and gateway have no protocol version in common."""


class WrongBoard(SessionError):
    """Another board than the one expected is at this port."""


class SessionLost(SessionError):
    """The session ended: the board restarted, fell silent, or the port vanished."""


class UpdateRefused(LinkError):
    """A board does not take an update, or the new release did not prove itself."""


class LinkBusy(LinkError):
    """Too much waits for the line already."""


class TooLong(LinkError):
    """More than fits into a frame."""


class DictionaryError(LinkError):
    """A board's dictionary makes no sense, or a value does not fit it."""
