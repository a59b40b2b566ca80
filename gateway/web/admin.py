"""What a page asks, and the gateway answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from boardtalk.frontends import control
from boardtalk.frontends.client import Denied
from boardtalk.sdk import Role
from boardtalk.store import HistoryEntry
from boardtalk.web import messages
from boardtalk.web.messages import (
    AskAudit,
    AskCall,
    AskCompletions,
    AskContacts,
    AskHistory,
    AskModules,
    AskSettings,
    AskSystem,
    AskWhy,
    ChangeSettings,
    ChangeUser,
    ConfirmSettings,
    OpenCall,
    Reload,
    RevertSettings,
)

if TYPE_CHECKING:
    from boardtalk.frontends.client import GatewayClient
    from boardtalk.web.messages import Administration, Question


async def answer(client: GatewayClient, question: Question) -> Any:
    """The answer, as the page gets it.

    Raises:
        Denied: the gateway refused.
        NoGateway: it went away.
    """
    match question:
        case AskContacts():
            return (await client.ask(control.Contacts(), control.ContactList)).contacts
        case AskCompletions(to=to, line=line):
            return (await client.ask(control.Complete(to, line), control.Completions)).completions
        case AskHistory():
            return await _history(client, question)
        case AskWhy(id=message_id):
            return (await client.ask(control.Why(message_id), control.Explained)).explanation
        case OpenCall(to=to, control=name):
            return (await client.ask(control.OpenCall(to, name), control.CallOpened)).call
        case AskCall(to=to):
            return await client.ask(control.AskCall(to), control.Asked)
        case _:
            return await _administer(client, question)


async def _administer(client: GatewayClient, question: Administration) -> Any:
    match question:
        case AskModules():
            return (await client.ask(control.Modules(), control.ModuleReports)).modules
        case AskSystem():
            return await client.ask(control.System(), control.SystemReport)
        case AskAudit(before=before, text=text):
            return await client.ask(control.Audit(before=before, text=text), control.AuditPage)
        case AskSettings(instance=instance):
            return await client.ask(control.GetSettings(instance), control.ModuleSettings)
        case ChangeSettings(instance=instance, values=values):
            return await client.ask(control.ChangeSettings(instance, values), control.SettingsOnTrial)
        case ConfirmSettings(change=change):
            return await client.ask(control.ConfirmSettings(change), control.SettingsKept)
        case RevertSettings(change=change):
            return await client.ask(control.RevertSettings(change), control.Reloaded)
        case ChangeUser():
            return await _change_user(client, question)
        case Reload():
            return (await client.ask(control.Reload(), control.Reloaded)).changes


async def _history(client: GatewayClient, question: AskHistory) -> messages.PastRows:
    request = control.History(
        other=question.other, limit=question.limit, text=question.text, before=question.before
    )
    past = await client.ask(request, control.Past)
    entries = [messages.past(msgspec.convert(entry, HistoryEntry)) for entry in past.entries]
    return messages.PastRows(entries, past.more)


async def _change_user(client: GatewayClient, question: ChangeUser) -> control.UserChanged:
    if question.role and question.role not in list(Role):
        raise Denied(f"there is no role {question.role!r}")
    request = control.ChangeUser(
        action=question.action,
        address=question.address,
        role=Role(question.role) if question.role else None,
        password=question.password,
    )
    return await client.ask(request, control.UserChanged)
