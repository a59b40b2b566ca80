"""Which robots each user may know of, written down for the stop process: it asks nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from boardtalk.page.settings import VIEWS
from boardtalk.sdk import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from boardtalk.people.directory import Directory
    from boardtalk.people.users import Account

log = structlog.get_logger()


def writer(state: Path, directory: Directory, users: Iterable[Account]) -> Callable[[], None]:
    """Writes it when it is another one than the last time.

    Args:
        state: the state folder.
        directory: knows the rules.
        users: all of them, at each time.
    """
    last: list[dict[str, tuple[str, ...]]] = []

    def write() -> None:
        views = {each.address: directory.view(each.address) for each in users}
        if last == [views]:
            return
        try:
            kept.save(state / VIEWS, views)
        except OSError as error:
            log.error("the stop button does not know who may see which robots", reason=error.strerror)
        else:
            last[:] = [views]

    return write
