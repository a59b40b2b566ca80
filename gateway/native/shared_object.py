"""A native module in this process: its library is opened, begun, and called."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from boardtalk.native import elf, layouts
from boardtalk.native.layouts import LAYOUTS, WORD_BYTES, Layout, Word
from boardtalk.sdk import ModuleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESULT: Final = 0xFFFF_FFFF
SIGN: Final = 0x8000_0000
CHANGED: Final = 1 << 32
MISMATCH: Final = "size mismatch"
"""What a module says that was built for another layout."""


class Host(Protocol):
    """Who does what a library's helpers are asked for."""

    said: list[str]
    """What its init had to say at level 0."""

    def helpers(self) -> layouts.Helpers:
        """The functions. They live as long as the process."""


class Library:
    """The library of a module, and its one instance in this process.

    Args:
        path: of the module's library.
        name: the module's.
        shim: the library with the helpers.
        settings: keys and values, in the order of the block.
        host: does what its helpers are asked for.

    Raises:
        ModuleError: it can't be opened.
    """

    def __init__(
        self, path: Path, name: str, shim: Path, settings: Sequence[tuple[str, str]], host: Host
    ) -> None:
        entry = elf.entry(path, name)
        self._name = ctypes.create_string_buffer(name.encode())
        self._host = host
        self._strings = [
            tuple(ctypes.create_string_buffer(each.encode()) for each in item) for item in settings
        ]
        self._shim = self._opened_shim(shim, host)
        try:
            library = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
            self._init = library[entry]
        except (OSError, AttributeError) as error:
            raise ModuleError(f"{path} can't be loaded: {error}") from error
        self._init.argtypes = (ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
        self._init.restype = ctypes.c_int  # some return 32 bits, some 64: the low ones say it
        self._module: Any = None
        self._own = 0
        self.layout: Layout = LAYOUTS[0]

    def _opened_shim(self, path: Path, host: Host) -> ctypes.CDLL:
        """The helpers, where the module will look for them."""
        shim = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_GLOBAL)
        self._helpers = host.helpers()
        self._items = self._filled((layouts.ConfigItem * max(1, len(self._strings)))())
        shim.boardtalk_open.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        shim.boardtalk_layout.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
        shim.boardtalk_text.argtypes = (ctypes.c_size_t,)
        shim.boardtalk_text.restype = ctypes.c_void_p
        addressed = (ctypes.c_char_p, ctypes.c_char_p)
        shim.boardtalk_deliver.argtypes = (
            ctypes.c_void_p,
            ctypes.c_void_p,
            *addressed,
            ctypes.c_char_p,
            ctypes.c_size_t,
        )
        shim.boardtalk_deliver.restype = ctypes.c_int64
        shim.boardtalk_status.argtypes = (ctypes.c_void_p, ctypes.c_void_p, Word, *addressed)
        if error := shim.boardtalk_open(ctypes.byref(self._helpers), self._items, len(self._strings)):
            raise ModuleError(f"there is no memory for its messages: {os.strerror(error)}")
        self._words: Any = (Word * layouts.SHARED_WORDS)()
        self._text = shim.boardtalk_text
        self._deliver = shim.boardtalk_deliver
        return shim

    def begin(self) -> None:
        """Call its init, with the layout that it was built for.

        Raises:
            ModuleError: it fails.
        """
        for layout in LAYOUTS:
            said: list[str] = []
            self._host.said = said
            if self._begun(layout):
                return
            if said and not any(MISMATCH in line for line in said):
                break
        raise ModuleError(": ".join(["its init fails", *said[-3:]]))

    def _begun(self, layout: Layout) -> bool:
        self.layout = layout
        self._shim.boardtalk_layout(layout.to, layout.sender)
        self._shim.boardtalk_json_length(int(layout.json_has_length))
        # Kept, since a module whose init fails may go on using what it was given.
        self._module = (Word * layouts.MODULE_WORDS)()
        self._own = ctypes.addressof(self._module)
        self._module[0] = layouts.VERSION
        self._module[layouts.NAME] = ctypes.addressof(self._name)
        self._module[layouts.CONFIG] = self._config_list() if self._strings else 0
        self._module[layout.signature] = layouts.SIGNATURE
        return bool(self._init(layouts.VERSION, self._own, layout.size) == 0)

    def configured(self) -> None:
        """Hand it its settings by on_config, if it has that."""
        if self.layout.has_on_config and (function := self._module[layouts.ON_CONFIG]):
            layouts.ON_SETTINGS(function)(self._own, 0, self._module[layouts.CONFIG] or None)

    def on_message(self, parameters: Sequence[int], to: str, sender: str, text: bytes) -> tuple[int, bytes]:
        """What it returns, and the text as it is then."""
        self._words[:] = parameters
        result = self._deliver(self._own, self._words, to.encode(), sender.encode(), text, len(text))
        if not result:
            return 0, text
        if result & CHANGED:
            text = ctypes.string_at(self._text(len(text)), len(text))
        result &= RESULT
        return result - (result & SIGN) * 2, text

    def on_message_status(self, parameters: Sequence[int], status: int, to: str, sender: str) -> None:
        """Tell it what became of a message of its own."""
        self._words[:] = parameters
        self._shim.boardtalk_status(self._own, self._words, status, to.encode(), sender.encode())

    def on_login(self, address: str, *, online: bool) -> None:
        """Tell it who came or went."""
        if function := self._module[layouts.ON_LOGIN]:
            kept = ctypes.create_string_buffer(address.encode())
            user = (Word * 7)()
            user[self.layout.online] = int(online)
            user[self.layout.address] = ctypes.addressof(kept)
            layouts.ON_USER(function)(self._own, ctypes.addressof(user))

    def call(self, place: int) -> int:
        """Call one of those that take nothing but the module, if it has it."""
        function = self._module[place]
        return int(layouts.CALLBACK(function)(self._own)) if function else 0

    def close(self) -> None:
        """Its threads, if it has any, find nobody from now on."""
        self._shim.boardtalk_close()

    def _config_list(self) -> int:
        """The list that the module gets. It may free that one, so C has to allocate it."""
        allocate = ctypes.CDLL(None).malloc
        allocate.argtypes, allocate.restype = (ctypes.c_size_t,), ctypes.c_void_p
        count = len(self._strings)
        address = allocate(WORD_BYTES + count * ctypes.sizeof(layouts.ConfigItem))
        if not address:
            raise ModuleError("there is no memory for its settings")
        Word.from_address(address).value = count
        self._filled((layouts.ConfigItem * count).from_address(address + WORD_BYTES))
        return int(address)

    def _filled(self, items: Any) -> Any:
        for item, (key, value) in zip(items, self._strings, strict=False):
            item.name, item.value = ctypes.addressof(key), ctypes.addressof(value)
        return items
