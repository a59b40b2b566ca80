"""Who may see which robots, as the gateway writes it down for the stop process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from boardtalk.page.settings import VIEWS
from boardtalk.page.views import ViewsFile
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.sdk import Role, kept


async def test_a_slow_disk_holds_up_nobody_and_what_changes_meanwhile_is_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = Users.load(tmp_path / "secrets", {"alice": Role.VIEWER})
    views = ViewsFile(tmp_path, Directory(users, {}), users)
    await views.write()
    assert written(tmp_path) == {"alice"}
    begun, goes_on, save = threading.Event(), threading.Event(), kept.save

    def slow(path: Path, content: object) -> None:
        if path.name == VIEWS:
            begun.set()
            assert goes_on.wait(5)
        save(path, content)

    monkeypatch.setattr(kept, "save", slow)
    keeping = asyncio.create_task(views.keep_up())
    users.add("bob", Role.VIEWER)
    await asyncio.to_thread(begun.wait, 5)
    users.add("carol", Role.VIEWER)
    users.remove("bob")
    goes_on.set()
    async with asyncio.timeout(5):
        while written(tmp_path) != {"alice", "carol"}:
            await asyncio.sleep(0.005)
    keeping.cancel()


async def test_a_disk_that_refuses_is_told_of_and_asked_again_at_the_next_change(tmp_path: Path) -> None:
    users = Users.load(tmp_path / "secrets", {"alice": Role.VIEWER})
    views = ViewsFile(tmp_path, Directory(users, {}), users)
    (tmp_path / VIEWS).mkdir()
    with capture_logs() as logged:
        await views.write()
    assert ["who may see which robots" in each["event"] for each in logged] == [True]
    (tmp_path / VIEWS).rmdir()
    await views.write()
    assert (tmp_path / VIEWS).is_file()
    assert written(tmp_path) == {"alice"}


def written(folder: Path) -> set[str]:
    return set(kept.peek(folder / VIEWS, dict[str, tuple[str, ...]]) or ())
