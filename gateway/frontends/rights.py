"""What a request of a person takes: who logs in as one may do what his role allows, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk.frontends import control
from boardtalk.people.policy import Wish
from boardtalk.sdk import SYSTEM, Code, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.hub.hub import Hub
    from boardtalk.sdk import Action

RIGHTS: Final[Mapping[type, Action]] = {
    control.Send: "query",  # what it says to a robot is judged when that is known
    control.Read: "query",
    control.Stop: "stop",
    control.Ping: "query",
    control.Contacts: "query",
    control.Complete: "query",
    control.History: "query",  # his own
    control.Why: "query",  # of his own messages; those of others take "inspect"
    control.OpenCall: "drive",
    control.SetPoint: "query",  # of a call that he got
    control.HangUp: "query",
    control.Modules: "inspect",
    control.ChangeUser: "admin",
    control.ChangeBoard: "admin",
    control.Reload: "admin",
    control.AskCall: "drive",
    control.Audit: "admin",
    control.ChangeRights: "admin",
    control.ChangeSettings: "admin",
    control.ConfirmSettings: "admin",
    control.Conversations: "query",
    control.Diagnose: "admin",
    control.GetSettings: "inspect",
    control.HandOver: "query",
    control.Judge: "admin",
    control.MarkRead: "query",
    control.Plugged: "inspect",
    control.RevertSettings: "admin",
    control.Rights: "admin",
    control.Show: "query",  # how much of itself the module judges
    control.System: "inspect",
    control.Unwatch: "query",
    control.Watch: "query",
}
"""By the kind of request. Whatever stands not here nobody may do. What is not answered asks for no more
than everybody may: a refusal would be taken for the answer to something else."""


ABOUT: Final[Mapping[type, str]] = {
    control.OpenCall: "to",
    control.AskCall: "to",
    control.ChangeBoard: "address",
}
"""Requests about a robot, with the field that names it; all others are about the gateway itself."""


def require(request: control.Request, user: str, hub: Hub) -> None:
    """See that policy grants a user a request.

    Raises:
        Refused: it does not.
    """
    action = RIGHTS.get(type(request))
    if action is None:
        raise Refused(Code.DENIED, f"{user} may not do this: only who owns the gateway may")
    about = ABOUT.get(type(request))
    hub.access.require(user, Wish(action, getattr(request, about) if about else SYSTEM))
