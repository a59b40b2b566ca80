"""Puts a failed test's story where people look for it: terminal, junit XML, HTML, a folder of files."""

from __future__ import annotations

import re
import time
import zlib
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.sniff import pcapng, sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from boardtalk.hil.plugin.story import Story
    from boardtalk.hil.plugin.traffic import Passed

NAME: Final = "boardtalk"
PROPERTY: Final = "boardtalk_report"
"""In the junit XML: the folder."""
MAX_NAME: Final = 100


def tell(item: pytest.Item, report: pytest.TestReport, story: Story) -> None:
    """Add the story to a failed test's report.

    Args:
        item: the test.
        report: of its failed part.
        story: what is known of it.
    """
    passed = story.passed()
    text, picture = story.told(passed), story.drawn(passed)
    chosen = item.config.option.boardtalk_report
    if chosen:
        folder = item.config.invocation_params.dir / chosen / folder_name(item.nodeid)
        text = f"{_written(folder, text, picture, passed)}\n{text}"
        for properties in (item.user_properties, report.user_properties):
            if folder.is_dir() and (PROPERTY, str(folder)) not in properties:
                properties.append((PROPERTY, str(folder)))
    if not text:
        return
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:  # where the error stands; so it is in the junit XML, too
        add(NAME, text, "-")
    else:
        report.sections.append((NAME, text))
    pytest_html = item.config.pluginmanager.getplugin("html")
    if picture and pytest_html is not None and item.config.option.htmlpath:
        made = [*getattr(report, "extras", []), pytest_html.extras.html(f"<div>{picture}</div>")]
        report.extras = made  # type: ignore[attr-defined]  # pytest-html's


def folder_name(test: str) -> str:
    """A test's id as the name of its folder."""
    plain = test.replace("::", "--").replace("/", "-")
    name = re.sub(r"[^\w.-]+", "-", plain)[:MAX_NAME]
    return name if name == plain else f"{name}-{zlib.crc32(test.encode()):08x}"


def _written(folder: Path, text: str, picture: str, passed: Sequence[Passed]) -> str:
    """Write the files; what came of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.txt").write_text(text, encoding="utf-8")
        if picture:
            (folder / "picture.svg").write_text(picture, encoding="utf-8")
        if passed:
            _write_frames(folder / "frames.pcapng", passed)
    except OSError as error:
        return f"its files can't be written to {folder}: {error.strerror or error}"
    return f"files: {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}"


def _write_frames(path: Path, passed: Sequence[Passed]) -> None:
    wall = time.time() - time.monotonic()
    with path.open("wb") as file:
        writer = pcapng.Writer(file)
        for each in passed:
            writer.put(sources.packet(each.seen._replace(at=each.seen.at + wall)))
