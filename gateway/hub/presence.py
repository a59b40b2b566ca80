"""Who is there: noted as people come and go, and shown to those who may know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.events import Held, Presence
from boardtalk.sdk import User
from boardtalk.witness import Came

if TYPE_CHECKING:
    from boardtalk.hub.callbacks import Modules
    from boardtalk.hub.sessions import Sessions
    from boardtalk.people.directory import Directory
    from boardtalk.people.users import Audience
    from boardtalk.witness import Witness


class PresenceTracker:
    """Of users and robots."""

    def __init__(self, directory: Directory, sessions: Sessions, modules: Modules, witness: Witness) -> None:
        self._directory = directory
        self._sessions = sessions
        self._modules = modules
        self._witness = witness

    def came(self, user: str) -> bool:
        """Note that a session shows a user's events from now on; whether it is his first one."""
        if self._directory.is_online(user):
            return False
        self._announce(user, online=True)
        return True

    def went(self, user: str) -> None:
        """Note that one does no more: without any he is gone."""
        if not self._sessions.shows(user):
            self._announce(user, online=False)

    def publish(self, address: str, *, online: bool, state: str) -> None:
        """Show everybody who is to know how a robot or a user is."""
        self._sessions.show(Presence(address, online, state, self._directory.viewers(address)))

    def publish_holder(self, address: str, holder: str) -> None:
        """Show everybody who sees it who has a robot for himself."""
        self._sessions.show_holder(Held(address, holder), self._directory.viewers(address))

    def show_to(self, user: str, audience: Audience) -> None:
        """From now on, have these told whether a user is online; to the others he seems to leave."""
        self.publish(user, online=False, state="")
        self._directory.show_to(user, audience)
        self.publish(user, online=self._directory.is_online(user), state="")

    def _announce(self, address: str, *, online: bool) -> None:
        self._directory.set_online(address, online=online)
        self._witness.tell(Came, address, online)
        self.publish(address, online=online, state="")
        role = self._directory.role(address)
        if role is None:
            return
        user = User(address=address, online=online, role=role)
        for name, module in self._modules.items():
            self._modules.notify(name, module.on_login, user)
