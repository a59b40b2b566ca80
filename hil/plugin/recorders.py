"""The fixture `recorder`: what happens in a test's gateway, in a file that `boardtalk replay` plays."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from boardtalk.hil.plugin.rig import Done
from boardtalk.hil.record.capture import captured
from boardtalk.hil.record.entries import writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from boardtalk.hil.plugin.gateways import Gateway
    from boardtalk.hil.plugin.rig import Rig

NAME: Final = "recording.jsonl"


class Recorder:
    """Records until `end`, or the end of the test; a gateway that is killed ends it too."""

    path: Path
    """The recording; among pytest's temporary files, which it keeps for some runs."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack

    def end(self) -> Done:
        """Record no more; the file is whole then.

        Raises:
            RecordingError: it can't be written, such as on a full disk.
        """
        self._stack.close()
        return Done()


@contextmanager
def recording(rig: Rig, gateway: Gateway, folder: Path) -> Iterator[Recorder]:
    """Record a gateway into a file in this folder."""
    path = folder / NAME
    with ExitStack() as stack:
        stack.enter_context(rig.entered(_written(gateway.folder, path)))
        yield Recorder(path, stack)


@asynccontextmanager
async def _written(state: Path, path: Path) -> AsyncIterator[None]:
    with writing(path) as write:
        async with captured(state, write):
            yield
