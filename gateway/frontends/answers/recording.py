"""What happens, told to a recorder."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from boardtalk.frontends import control
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from boardtalk.configuration import Configuration
    from boardtalk.hub.hub import Hub
    from boardtalk.people.users import Users
    from boardtalk.sdk.channel import Channel
    from boardtalk.witness import Seen


async def record(
    channel: Channel[control.Request], hub: Hub, users: Users, configuration: Configuration
) -> None:
    """Tell a recorder all that happens, until it leaves."""
    channel.send(
        control.Recording(
            version=version("boardtalk"),
            python=platform.python_version(),
            configuration=configuration.shown,
            users={account.address: account.role for account in users},
            online=[each.address for each in users if hub.directory.is_online(each.address)],
            next_row=hub.store.next_row,
            modules={each.name: each.version for each in configuration.runner.reports()},
        )
    )

    def tell(seen: Seen) -> None:
        with suppress(ServiceError):  # it does not read: `receive` ends
            channel.send(control.Observed(seen))

    with hub.witness.watched(tell):
        while await channel.receive() is not None:
            pass
