"""What gateway and link process say to each other over ``link.sock``, one JSON object a line.

Requests carry `op`, everything that the link process says carries `ev`. A request with `re` ≠ 0 is
answered by an object with the same `re`: the answer named at the request, or `Refused`. `bytes`
travel as base64. Values of arguments and telemetry are packed as the board's dictionary says; the
link process does not look into them.
"""

from __future__ import annotations

from typing import Final

from boardtalk.modules.iot_bridge.service.api.answers import (
    STOPPED_FIRST,
    Answer,
    AnyAnswer,
    AnyEvent,
    Asked,
    Attached,
    BoardChanged,
    Boards,
    BoardState,
    BoardStopped,
    Clock,
    DictionaryText,
    Done,
    Dropped,
    Frames,
    Heard,
    Lapsed,
    Lent,
    LogLine,
    Lost,
    Progress,
    Refused,
    Report,
    ReportKind,
    Result,
    Stage,
    StopNotice,
    Stopped,
    Traffic,
    UpdateTold,
    Updating,
)
from boardtalk.modules.iot_bridge.service.api.requests import (
    Adopt,
    AnyRequest,
    Attach,
    Borrow,
    Cancel,
    Command,
    GetDictionary,
    ListBoards,
    Printed,
    Rearm,
    Renew,
    SetPoint,
    Shutdown,
    Stop,
    Tap,
    Update,
    UpdateStep,
    WantedBoard,
)

SOCKET: Final = "link.sock"

MAX_UPDATE_BYTES: Final = 2048
"""Data of an update in one request: other messages to the board wait behind it."""

__all__ = [
    "MAX_UPDATE_BYTES",
    "SOCKET",
    "STOPPED_FIRST",
    "Adopt",
    "Answer",
    "AnyAnswer",
    "AnyEvent",
    "AnyRequest",
    "Asked",
    "Attach",
    "Attached",
    "BoardChanged",
    "BoardState",
    "BoardStopped",
    "Boards",
    "Borrow",
    "Cancel",
    "Clock",
    "Command",
    "DictionaryText",
    "Done",
    "Dropped",
    "Frames",
    "GetDictionary",
    "Heard",
    "Lapsed",
    "Lent",
    "ListBoards",
    "LogLine",
    "Lost",
    "Printed",
    "Progress",
    "Rearm",
    "Refused",
    "Renew",
    "Report",
    "ReportKind",
    "Result",
    "SetPoint",
    "Shutdown",
    "Stage",
    "Stop",
    "StopNotice",
    "Stopped",
    "Tap",
    "Traffic",
    "Update",
    "UpdateStep",
    "UpdateTold",
    "Updating",
    "WantedBoard",
]
