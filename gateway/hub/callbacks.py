"""What modules are asked and told beside `on_message`. One that fails or hangs there hurts nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from boardtalk.chain.chain import Chain
from boardtalk.sdk import CONSUMED, Code, Completion, Message, Module, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from boardtalk.people.directory import Directory

COMPLETE_S: Final = 1.0
"""Whoever types does not wait longer for what may follow."""
SHOW_S: Final = 2.0
"""Longest that somebody waits for what a module shows of itself; what else he asks waits meanwhile."""
MAX_SHOWN_BYTES: Final = 256 * 1024


class Modules(Mapping[str, Module]):
    """The instances in service, by name.

    Args:
        directory: knows who answers for an address.
        spawn: runs a task under a name.
    """

    def __init__(self, directory: Directory, spawn: Callable[[Coroutine[Any, Any, None], str], None]) -> None:
        self.chain = Chain(())
        """What messages pass; keeps how each instance does."""
        self._instances: Mapping[str, Module] = {}
        self._directory = directory
        self._spawn = spawn

    def __getitem__(self, name: str) -> Module:
        return self._instances[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._instances)

    def __len__(self) -> int:
        return len(self._instances)

    def load(self, chain: Chain, instances: Mapping[str, Module]) -> None:
        """Have these in service in place of those of before."""
        self.chain = chain
        self._instances = instances

    async def complete(self, to: str, line: str, user: str | None = None) -> list[Completion]:
        """What may follow a half-typed line of a user's to `to`, as the module that answers for it says."""
        if user is not None and not self._directory.sees(user, to):
            return []
        name = self._directory.owner(to) or ""
        module = self.get(name)
        if module is None:
            return []
        try:
            found = module.on_complete(to, line)
            if isinstance(found, list):
                return found
            async with asyncio.timeout(COMPLETE_S):
                return await found
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(name, "on_complete", error)
            return []

    async def show(self, user: str, instance: str) -> dict[str, Any]:
        """What a module instance shows of itself to a user.

        Raises:
            Refused: there is none of this name, or it fails.
        """
        module = self.get(instance)
        if module is None:
            raise Refused(Code.BAD_ADDRESS, f"no module {instance[:40]!r} is loaded")
        try:
            shown = module.on_show(user)
            if not isinstance(shown, dict):
                async with asyncio.timeout(SHOW_S):
                    shown = await shown
            size = len(msgspec.json.encode(shown))
            if not isinstance(shown, dict) or size > MAX_SHOWN_BYTES:
                raise ValueError(f"a dictionary of {MAX_SHOWN_BYTES} bytes at most is expected")
        except Refused:
            raise
        except (Exception, SystemExit) as error:
            self.chain.failed(instance, "on_show", error)
            reason = str(error) or f"it does not answer within {SHOW_S:g} s"
            raise Refused(Code.FAILED, f"the module {instance} can't be shown: {reason}") from error
        return shown

    def go_on(self, message: Message) -> bool:
        """Whether one of them goes on with what an earlier gateway had under way."""
        return any(self._takes(name, module, message) for name, module in self.items())

    def notify(self, instance: str, callback: Any, *arguments: Any) -> None:
        """Run a callback whose result does not matter."""
        try:
            result = callback(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(instance, callback.__name__, error)
            return
        if result is not None:
            self._spawn(
                self._contained(instance, callback.__name__, result), f"{instance} {callback.__name__}"
            )

    async def _contained(self, instance: str, callback: str, work: Awaitable[Any]) -> None:
        try:
            await work
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(instance, callback, error)

    def _takes(self, name: str, module: Module, message: Message) -> bool:
        try:
            return module.on_unfinished(message) is CONSUMED
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(name, "on_unfinished", error)
            return False
