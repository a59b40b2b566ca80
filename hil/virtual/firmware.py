"""The shipped firmware client, unchanged, in this process: CPython, with a clock of ours.

Programs of robots too, with what takes the place of their hardware. The client's package has the gateway's
name, and takes modules from MicroPython that CPython lacks. So its files get an `import` of their own.
"""

from __future__ import annotations

import asyncio
import builtins
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.frames import CLOCK_MASK, WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HALF: Final = CLOCK_MASK // 2 + 1
"""Of the time after which the board's clock begins anew: what is further ahead lies back."""
SOURCES: Final = Path(str(files("boardtalk.firmware").joinpath("boardtalk")))

MICROPYTHON: Final = {
    "asyncio": SimpleNamespace(**vars(asyncio), sleep_ms=lambda ms: asyncio.sleep(ms / 1000)),
    "micropython": SimpleNamespace(const=lambda value: value),
}
_WINDOW_LINE: Final = "_WINDOW = const({})\n"


class Firmware:
    """The client's modules, made anew.

    Args:
        window: build them for another number of frames in flight, a power of two.
        drift: how much faster the board's clock goes than the loop's, as a share.
        shows: what it shows at the loop's beginning, ms.
        stream: what a program's board gets as its line.
        files: of a program, by the names of their modules.
        given: modules in place of others.
    """

    def __init__(
        self,
        window: int = WINDOW,
        drift: float = 0.0,
        shows: int = 0,
        *,
        stream: Any = None,
        files: Mapping[str, Path] = {},
        given: Mapping[str, Any] = {},
    ) -> None:
        self._window = window
        self._shows = shows
        self._files = files
        time = SimpleNamespace(
            ticks_us=lambda: int(asyncio.get_running_loop().time() * 1_000_000),
            ticks_ms=lambda: (
                self._shows + int(asyncio.get_running_loop().time() * 1000 * (1 + drift)) & CLOCK_MASK
            ),
            ticks_add=lambda ticks, delta: ticks + delta & CLOCK_MASK,
            ticks_diff=lambda end, start: (end - start + HALF & CLOCK_MASK) - HALF,
        )
        self._given = {**MICROPYTHON, "time": time, **given}
        hal = SimpleNamespace(
            nonce=lambda: 7, uid=lambda: "c0ffee01", reset_cause=lambda: 1, open_stream=lambda _: stream
        )
        self._modules: dict[str, Any] = {"boardtalk.hal": hal}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def gain(self, ms: int) -> None:
        """The board's clock goes on while the gateway's stands still: its machine sleeps."""
        self._shows += ms

    def module(self, name: str) -> Any:
        """One of `firmware/boardtalk`, by the name of its file."""
        return self._loaded(f"boardtalk.{name}", SOURCES / f"{name}.py")

    def program(self, name: str) -> Any:
        """One of the program's files, by its name."""
        return self._loaded(name, self._files[name])

    def client(self, stream: Any, **actions: Callable[..., None]) -> Any:
        """A board's client that declares these actions, without arguments."""
        dictionary = self.module("dictionary").Dictionary("virtual", "")
        for name, code in actions.items():
            dictionary.add("commands", name, code, {}, {}, "", 10, "action")
        return self.module("client").Client(dictionary, "", stream)

    def _loaded(self, name: str, source: Path) -> Any:
        if name not in self._modules:
            self._modules[name] = module = ModuleType(f"firmware.{name}")
            vars(module)["__builtins__"] = self._builtins
            exec(_code(source, self._window), vars(module))  # noqa: S102 - our own file
        return self._modules[name]

    def _import(self, name: str, *args: Any) -> Any:
        if name in self._given:
            return self._given[name]
        if name in self._files:
            return self.program(name)
        package, _, module = name.partition(".")
        if package != "boardtalk":
            return __import__(name, *args)
        if module:
            return self.module(module)
        wanted = args[2] or ()
        return SimpleNamespace(**{each: self._part(each) for each in wanted})

    def _part(self, name: str) -> Any:
        """What the client's package has under a name: a module, or something that an author uses."""
        if (SOURCES / f"{name}.py").is_file():
            return self.module(name)
        return getattr(self.module("__init__"), name)


@cache
def _code(source: Path, window: int) -> CodeType:
    text = source.read_text().replace(_WINDOW_LINE.format(WINDOW), _WINDOW_LINE.format(window))
    return compile(text, str(source), "exec")
