"""What robots with a release can do, as far as that is known before it runs on one."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import DictionaryError

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.dictionary import Dictionary
    from boardtalk.modules.iot_bridge.ota.release import Release

REHEARSALS: Final = "boardtalk.rehearsals"
"""The entry-point group: functions that take files by path, and return a dictionary's text, or None."""


def declares(release: Release) -> Dictionary | None:
    """What its program declares; None: that can't be told without its hardware. It takes up to 10 s."""
    files = {file.path: file.data for file in release.files}
    for point in entry_points(group=REHEARSALS):
        try:
            if text := point.load()(files):
                return parse(text)
        except DictionaryError:
            continue
    return None
