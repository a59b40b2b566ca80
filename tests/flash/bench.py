"""Jobs for emulated boards: what they do, and what they said."""

from __future__ import annotations

import sqlite3
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, NamedTuple

from boardtalk import boards
from boardtalk.flash import firmware, fleet
from boardtalk.flash.events import AnyEvent, Ended, Progress, Step
from boardtalk.flash.job import Job, What
from boardtalk.hil.loaders.board import LoaderBoard
from tests.hil.flashing import esp_image

C3 = "emulated-esp32c3"
CHIP_ID = 5


class Told(NamedTuple):
    """What was said of one board."""

    events: list[AnyEvent]

    @property
    def end(self) -> Ended:
        assert isinstance(self.events[-1], Ended)
        return self.events[-1]

    def steps(self, name: str) -> list[str]:
        """The details of all steps of a name."""
        return [each.detail for each in self.events if isinstance(each, Step) and each.step == name]

    def progress(self, step: str) -> list[int]:
        """The bytes done."""
        return [each.done for each in self.events if isinstance(each, Progress) and each.step == step]


class Bench:
    """A state folder, files to write, and jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"

    def image(self, size: int = 200_000, chip_id: int = CHIP_ID) -> Path:
        """A file that an ESP chip would take."""
        path = self.folder / f"{chip_id}-{size}.bin"
        path.write_bytes(esp_image(chip_id, size))
        return path

    def file(self, data: bytes, name: str = "firmware.bin") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def job(self, what: What, port: str, image: Path | None = None, *kinds: str, **more: Any) -> Job:
        known = [boards.definition(kind) for kind in kinds or (C3,)]
        loaded = firmware.from_file(image, known[0]) if image else None
        return Job(what=what, port=port, boards=known, state=self.state, firmware=loaded, **more)

    async def do(self, what: What, port: str, image: Path | None = None, *kinds: str, **more: Any) -> Told:
        """Do it to one board."""
        return (await self.all([self.job(what, port, image, *kinds, **more)]))[0]

    async def all(self, jobs: list[Job]) -> list[Told]:
        """Do all at once; what was said of each."""
        told: dict[str, list[AnyEvent]] = {job.port: [] for job in jobs}
        async with aclosing(fleet.run(jobs, len(jobs))) as events:
            async for event in events:
                told[event.port].append(event)
        return [Told(each) for each in told.values()]


def content(board: LoaderBoard, image: Path) -> bool:
    """Whether the flash begins with this file."""
    data = image.read_bytes()
    return bytes(board.flash)[: len(data)] == data


def audit(state: Path) -> list[tuple[str, str, str, str]]:
    """What the gateway's audit has on disk: who, what, target, result."""
    with closing(sqlite3.connect(state / "store.db")) as store:
        return list(store.execute("SELECT who, what, target, result FROM audit"))
