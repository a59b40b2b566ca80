"""What is answered before anybody has logged in: the page's process asks so for people at its door."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from boardtalk.frontends import control
from boardtalk.people.entrance import Entrance, NotAdmitted
from boardtalk.people.users import UserError
from boardtalk.sdk import BoardtalkError, Kind, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boardtalk.hub.hub import Hub
    from boardtalk.people.users import Account, Users
    from boardtalk.sdk.channel import Channel


Wish: TypeAlias = control.Verify | control.SetUp | control.NewPassword

DONE: Final[Mapping[type, str]] = {
    control.Verify: "login",
    control.SetUp: "set up",
    control.NewPassword: "new password",
}
"""What the audit calls it."""


class Reception:
    """Answers `control.Unnamed`.

    Args:
        users: all of them.
        hub: knows which names are taken, and keeps the audit.
        page: tells the address of the page; "" while there is none.
    """

    def __init__(self, users: Users, hub: Hub, page: Callable[[], str]) -> None:
        self._users = users
        self._hub = hub
        self._page = page
        self.entrance = Entrance(users)

    async def answer(self, request: control.Unnamed, channel: Channel[control.Request]) -> None:
        """Answer one request; that for accounts until its client leaves."""
        match request:
            case control.Verify() | control.SetUp() | control.NewPassword():
                channel.send(await self._admitted(request))
            case control.AskPage():
                channel.send(self.page)
            case control.Accounts():
                await self._tell_accounts(channel)

    @property
    def page(self) -> control.Page:
        """Where the page is, with a new token if nobody can log in yet."""
        url = self._page()
        return control.Page(url, self.entrance.new_token() if url else "")

    async def _admitted(self, request: Wish) -> control.Reply:
        try:
            account = await self._account(request)
        except NotAdmitted as refusal:
            return control.NotAdmitted(str(refusal), refusal.wait)
        except BoardtalkError as error:
            return control.NotAdmitted(str(error))
        self._hub.store.audit(account.address, DONE[type(request)], "web page", request.address)
        return control.Verified(account.address, account.role, account.stamp)

    async def _account(self, request: Wish) -> Account:
        if not isinstance(request, control.SetUp):
            account = await self.entrance.verify(request.user, request.password, request.address)
            if isinstance(request, control.NewPassword):
                self._users.set_password(account.address, request.new)
            return account
        if (kind := self._hub.directory.kind(request.user)) not in (None, Kind.USER):
            raise UserError(f"{request.user!r} is the address of a {kind}; take another name")
        return self.entrance.set_up(request.token, request.user, request.password, request.address)

    async def _tell_accounts(self, channel: Channel[control.Request]) -> None:
        def tell() -> None:
            with suppress(ServiceError):  # it does not read: `receive` ends
                channel.send(control.Stamps({each.address: each.stamp for each in self._users}))

        with self._users.watched(tell):
            tell()
            while await channel.receive() is not None:
                pass
