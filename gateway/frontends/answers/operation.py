"""Running the gateway: how it and its modules are, its users, its boards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from boardtalk import broker
from boardtalk.frontends import control, overview
from boardtalk.frontends.answers.fitting import fitting
from boardtalk.frontends.control.operation import BrokerInfo
from boardtalk.people.users import UserError
from boardtalk.sdk import Kind, check_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from boardtalk.broker.board_logins import BoardLogins
    from boardtalk.configuration import Configuration
    from boardtalk.frontends.control import operation
    from boardtalk.hub.hub import Hub
    from boardtalk.people.users import Users


class BoardGate(NamedTuple):
    """Where boards log in."""

    logins: BoardLogins
    left: Callable[[str], Awaitable[None]]
    """Says that a board was cut off."""
    host: str
    port: int
    tls: bool
    own: bool
    """Whether its logins are made here."""


class Operation:
    """Answers `control.operation`.

    Args:
        hub: what runs.
        users: all of them.
        configuration: in service.
        folder: the state folder.
        gate: None: there is no broker.
    """

    def __init__(
        self, hub: Hub, users: Users, configuration: Configuration, folder: Path, gate: BoardGate | None
    ) -> None:
        self._hub = hub
        self._users = users
        self._configuration = configuration
        self._folder = folder
        self._gate = gate

    async def answer(self, request: operation.Request, user: str, *, is_person: bool) -> control.Reply:
        """Carry out what a user asks, or who owns the gateway as him."""
        match request:
            case control.ChangeUser():
                return self._change_user(request, is_person=is_person)
            case control.ChangeBoard():
                return await self._change_board(request)
            case control.Modules():
                return control.ModuleReports(self._configuration.runner.reports())
            case control.Show(instance):
                return control.Shown(await self._hub.modules.show(user, instance))
            case control.Plugged():
                return await asyncio.to_thread(overview.plugged)
            case control.System():
                return overview.report(self._hub, self._folder, self._broker)
            case control.Diagnose():
                return overview.diagnosis(self._hub, self._configuration, self._folder, self._broker)
            case control.Audit(limit, before, text):
                lines = await self._hub.store.audit_lines(before, limit + 1, text)
                told = fitting(lines[::-1][:limit])[::-1]
                return control.AuditPage(told, more=len(told) < len(lines))
            case control.Reload():
                return control.Reloaded(await self._configuration.reload())

    @property
    def _broker(self) -> BrokerInfo | None:
        gate = self._gate
        return BrokerInfo(gate.host, gate.port, gate.tls, gate.own) if gate else None

    def _change_user(self, request: control.ChangeUser, *, is_person: bool) -> control.UserChanged:
        takes_admin = is_person and request.action in {"remove", "role"}
        if takes_admin and self._users.is_last_admin(request.address):
            cure = "make somebody else one first, with a password"
            raise UserError(f"{request.address} is the last admin who can log in: {cure}")
        if request.action == "add":
            check_name(request.address)
            taken = self._hub.directory.kind(request.address)
            if taken not in (None, Kind.USER):
                raise UserError(f"{request.address!r} is the address of a {taken}")
        change = self._users.change(request.action, request.address, request.role, request.password)
        return control.UserChanged(
            change.address, change.role, change.token, self._configuration.foreign_broker
        )

    async def _change_board(self, request: control.ChangeBoard) -> control.BoardChanged:
        if self._gate is None:
            raise UserError("there is no broker to log in at: write a block `broker { }`")
        logins, left, host, port, tls, own = self._gate
        if request.revoke:
            logins.revoke(request.address)
            await left(request.address)
            return control.BoardChanged(request.address, own=own)
        taken = self._hub.directory.kind(request.address)
        if taken not in (None, Kind.ROBOT):
            raise UserError(f"{request.address!r} is the address of a {taken}")
        login = broker.Login(request.address, logins.renew(request.address).token, board=True)
        await left(request.address)
        return control.BoardChanged(login.address, login.name, login.token, host, port, tls, own)
