"""What a request of a person takes: who logs in as one may do what his role allows, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk.frontends.control import (
    AskCall,
    Audit,
    ChangeBoard,
    ChangeRights,
    ChangeSettings,
    ChangeUser,
    Complete,
    ConfirmSettings,
    Contacts,
    Conversations,
    Diagnose,
    GetSettings,
    HandOver,
    HangUp,
    History,
    Judge,
    MarkRead,
    Modules,
    OpenCall,
    Plugged,
    Read,
    Reload,
    RevertSettings,
    Rights,
    Send,
    SetPoint,
    Show,
    Stop,
    System,
    Unwatch,
    Watch,
    Why,
)
from boardtalk.policy import Wish
from boardtalk.sdk import SYSTEM, Code, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.frontends.control import Request
    from boardtalk.hub import Hub
    from boardtalk.sdk import Action

RIGHTS: Final[Mapping[type, Action]] = {
    Send: "query",  # what it says to a robot is judged when that is known
    Read: "query",
    Stop: "stop",
    Contacts: "query",
    Complete: "query",
    History: "query",  # his own
    Why: "query",  # of his own messages; those of others take "inspect"
    OpenCall: "drive",
    SetPoint: "query",  # of a call that he got
    HangUp: "query",
    Modules: "inspect",
    ChangeUser: "admin",
    ChangeBoard: "admin",
    Reload: "admin",
    AskCall: "drive",
    Audit: "admin",
    ChangeRights: "admin",
    ChangeSettings: "admin",
    ConfirmSettings: "admin",
    Conversations: "query",
    Diagnose: "admin",
    GetSettings: "inspect",
    HandOver: "query",
    Judge: "admin",
    MarkRead: "query",
    Plugged: "inspect",
    RevertSettings: "admin",
    Rights: "admin",
    Show: "query",  # how much of itself the module judges
    System: "inspect",
    Unwatch: "query",
    Watch: "query",
}
"""By the kind of request. Whatever stands not here nobody may do. What is not answered asks for no more
than everybody may: a refusal would be taken for the answer to something else."""


ABOUT: Final[Mapping[type, str]] = {OpenCall: "to", AskCall: "to", ChangeBoard: "address"}
"""Requests about a robot, with the field that names it; all others are about the gateway itself."""


def require(request: Request, user: str, hub: Hub) -> None:
    """See that policy grants a user a request.

    Raises:
        Refused: it does not.
    """
    action = RIGHTS.get(type(request))
    if action is None:
        raise Refused(Code.DENIED, f"{user} may not do this: only who owns the gateway may")
    about = ABOUT.get(type(request))
    hub.access.require(user, Wish(action, getattr(request, about) if about else SYSTEM))
