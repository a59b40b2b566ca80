"""Who is in a group, for commands of modules: the gateway alone knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from boardtalk.sdk.channel import Channel
from boardtalk.sdk.errors import ServiceError

if TYPE_CHECKING:
    from pathlib import Path


class Members(msgspec.Struct, tag_field="op", tag="members"):
    """On ``control.sock``, instead of a login: ask who is in a group."""

    group: str


class MemberList(msgspec.Struct, tag="members"):
    """Answers `Members`; nobody: there is no such group."""

    members: tuple[str, ...]


async def members(state: Path, group: str) -> tuple[str, ...]:
    """The addresses in a group, of people and robots; none: there is no such group.

    Raises:
        ServiceError: no gateway runs.
    """
    channel: Channel[MemberList] = await Channel.connect(state / "control.sock", MemberList)
    try:
        channel.send(Members(group))
        answer = await channel.receive()
    finally:
        channel.close()
    if answer is None:
        raise ServiceError(f"{state / 'control.sock'}: the gateway hung up")
    return answer.members
