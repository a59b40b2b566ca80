"""What a request of a person takes: who logs in as one may do what his role allows, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk import policy
from boardtalk.frontends.control import (
    AskCall,
    Audit,
    ChangeBoard,
    ChangeSettings,
    ChangeUser,
    Complete,
    ConfirmSettings,
    Contacts,
    Conversations,
    GetSettings,
    HandOver,
    HangUp,
    History,
    MarkRead,
    Modules,
    OpenCall,
    Read,
    Reload,
    RevertSettings,
    Send,
    SetPoint,
    Stop,
    System,
    Unwatch,
    Watch,
    Why,
)
from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.frontends.control import Request
    from boardtalk.sdk import Action, Role

RIGHTS: Final[Mapping[type, Action]] = {
    Send: "query",  # what it says to a robot is judged when that is known
    Read: "query",
    Stop: "stop",
    Contacts: "query",
    Complete: "query",
    History: "query",  # his own
    Why: "query",  # of his own messages; those of others take "inspect"
    OpenCall: "motion",
    SetPoint: "query",  # of a call that he got
    HangUp: "query",
    Modules: "inspect",
    ChangeUser: "admin",
    ChangeBoard: "admin",
    Reload: "admin",
    AskCall: "motion",
    Audit: "admin",
    ChangeSettings: "admin",
    ConfirmSettings: "admin",
    Conversations: "query",
    GetSettings: "inspect",
    HandOver: "query",
    MarkRead: "query",
    RevertSettings: "admin",
    System: "inspect",
    Unwatch: "query",
    Watch: "query",
}
"""By the kind of request. Whatever stands not here nobody may do. What is not answered asks for no more
than everybody may: a refusal would be taken for the answer to something else."""


def require(request: Request, role: Role | None) -> None:
    """See that a role carries the right for a request.

    Raises:
        Refused: it does not.
    """
    action = RIGHTS.get(type(request))
    if action is None or not policy.allowed(role, action):
        who = f"a {role}" if role else "somebody who is no user any more"
        raise Refused(
            Code.DENIED, f"{who} may not do this: it takes the right to {action or 'own the gateway'}"
        )
