"""What boards call what stands in a recording as numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from boardtalk.hil.record import entries
from boardtalk.hil.record.entries import AnyEntry, Link
from boardtalk.modules.iot_bridge.dictionary import Dictionary, parse
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.language.words import show
from boardtalk.modules.iot_bridge.service import api

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.iot_bridge.dictionary import Value


class Names:
    """Of all boards of a recording, as far as it has been read."""

    def __init__(self, known: Iterable[AnyEntry] = ()) -> None:
        self._dictionaries: dict[str, Dictionary] = {}
        self._boards: dict[str, str] = {}
        for entry in known:
            self.learn(entry)

    def learn(self, entry: AnyEntry) -> None:
        """Take from an entry what it tells."""
        match entry:
            case entries.Dictionary(hash_, text):
                try:
                    self._dictionaries[hash_] = _parse(text)
                except DictionaryError:
                    return
            case Link(api.Heard(event=api.BoardChanged(name=name, dictionary=hash_))) if hash_:
                self._boards[name] = hash_

    def dictionary(self, board: str) -> Dictionary | None:
        """What a board declares; None: it is not in the recording."""
        return self._dictionaries.get(self._boards.get(board, ""))

    def command(self, board: str, index: int, args: bytes) -> str:
        """``forward distance 20 cm``."""
        try:
            command = self._known(board).commands[index]
            return _words(command.name, command.args_format.unpack(args), command.args)
        except (IndexError, DictionaryError):
            return f"command {index}"

    def set_point(self, board: str, index: int, values: bytes) -> str:
        """``drive x 0 %, y 50 %``; without values: that outputs go off until some come."""
        try:
            control = self._known(board).controls[index]
            if not values:
                return f"{control.name}: outputs off"
            return _words(control.name, control.args_format.unpack(values), control.args)
        except (IndexError, DictionaryError):
            return f"control {index}"

    def _known(self, board: str) -> Dictionary:
        known = self.dictionary(board)
        if known is None:
            raise DictionaryError(f"the dictionary of {board} is not in the recording")
        return known


@lru_cache(maxsize=16)
def _parse(text: str) -> Dictionary:
    """The same for the same text: how its values are packed is compiled once, which takes a while."""
    return parse(text.encode())


def _words(name: str, values: dict[str, Any], specs: tuple[Value, ...]) -> str:
    return f"{name} {show(values, specs)}".rstrip()
