"""What is said over ``control.sock``, one JSON object a line: requests, and what the gateway says.

Each file has what may be asked about one thing, and what answers it; here they are joined.
"""

from __future__ import annotations

from typing import Final

from boardtalk.events import (
    CallAsked,
    CallDecided,
    CallUpdate,
    Delivery,
    Held,
    Marked,
    Presence,
    Sent,
    Update,
    Values,
)
from boardtalk.frontends.control.chat import (
    Complete,
    Completions,
    ContactList,
    Contacts,
    ConversationList,
    Conversations,
    Explained,
    History,
    MarkRead,
    Past,
    Read,
    Send,
    Stop,
    Why,
)
from boardtalk.frontends.control.live import (
    AskCall,
    Asked,
    CallOpened,
    HandOver,
    HangUp,
    OpenCall,
    SetPoint,
    Unwatch,
    Watch,
    Watching,
)
from boardtalk.frontends.control.operation import (
    Audit,
    AuditPage,
    BoardChanged,
    ChangeBoard,
    ChangeUser,
    Devices,
    Diagnose,
    Diagnosis,
    ModuleReports,
    Modules,
    Plugged,
    Reload,
    Reloaded,
    Show,
    Shown,
    System,
    SystemReport,
    UserChanged,
)
from boardtalk.frontends.control.session import (
    Accounts,
    AskPage,
    Failure,
    Login,
    NewPassword,
    NotAdmitted,
    Observed,
    Page,
    Ping,
    Pong,
    Record,
    Recording,
    SetUp,
    Stamps,
    Verified,
    Verify,
    Welcome,
)
from boardtalk.frontends.control.settings import (
    ChangeRights,
    ChangeSettings,
    ConfirmSettings,
    GetSettings,
    Judge,
    Judged,
    ModuleSettings,
    RevertSettings,
    Rights,
    RightsList,
    SettingsKept,
    SettingsOnTrial,
)
from boardtalk.sdk.audit import Attempt, Noted, Outcome
from boardtalk.sdk.groups import MemberList, Members

SOCKET: Final = "control.sock"

Unnamed = Verify | SetUp | NewPassword | AskPage | Accounts
"""What is asked by nobody in particular."""

Unanswered = Send | Read | MarkRead | Stop | Unwatch | HandOver | SetPoint | HangUp
"""What nothing answers, not even a refusal: it would be taken for the answer to something else."""

Request = (
    Login
    | Record
    | Members
    | Verify
    | SetUp
    | NewPassword
    | AskPage
    | Accounts
    | Attempt
    | Outcome
    | Send
    | Read
    | MarkRead
    | Stop
    | Ping
    | Contacts
    | Complete
    | History
    | Conversations
    | Watch
    | Unwatch
    | Why
    | System
    | Diagnose
    | Audit
    | ChangeUser
    | ChangeBoard
    | OpenCall
    | AskCall
    | HandOver
    | SetPoint
    | HangUp
    | Modules
    | Show
    | Plugged
    | Reload
    | GetSettings
    | ChangeSettings
    | ConfirmSettings
    | RevertSettings
    | Rights
    | ChangeRights
    | Judge
)

Reply = (
    Welcome
    | Verified
    | NotAdmitted
    | Page
    | Stamps
    | Pong
    | Failure
    | ContactList
    | Completions
    | Past
    | ConversationList
    | Watching
    | Explained
    | UserChanged
    | BoardChanged
    | CallOpened
    | Asked
    | SystemReport
    | Diagnosis
    | AuditPage
    | ModuleReports
    | Shown
    | Devices
    | Reloaded
    | ModuleSettings
    | SettingsOnTrial
    | SettingsKept
    | RightsList
    | Judged
    | Recording
    | Observed
    | MemberList
    | Noted
    | Delivery
    | Sent
    | Marked
    | Update
    | CallUpdate
    | CallAsked
    | CallDecided
    | Presence
    | Held
    | Values
)
