"""The document of all keys is what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from boardtalk.reference import OWN, known_tables, table, updated
from boardtalk.sdk import Settings

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join(path.read_text() for path in (DOCS / "configuration.md", *DOCS.glob("modules/*.md")))
NAMES = re.findall("<!-- keys: (.+?) -->", TEXT)


@pytest.mark.parametrize("name", NAMES)
def test_each_table_of_the_document_is_current(name: str) -> None:
    tables = known_tables()
    assert name in tables, "the module that reads it is not installed"
    assert f"<!-- keys: {name} -->\n{table(tables[name])}<!-- end -->" in TEXT, (
        "run: python -m boardtalk.reference docs/configuration.md docs/modules/*.md"
    )


def test_every_block_has_its_table() -> None:
    assert set(NAMES) >= set(known_tables())
    assert set(NAMES) >= set(OWN)


class Sample(Settings):
    speed: Annotated[int, msgspec.Meta(ge=1, le=9, description="how fast, in cm/s")]
    words: tuple[str, ...] = ("a", "b")
    quiet: bool = True
    choice: Annotated[str, msgspec.Meta(title="a|b", description="which")] = ""


def test_a_table_has_key_value_default_and_meaning() -> None:
    assert table(Sample).splitlines()[2:] == [
        "| `speed` | a whole number from 1 to 9 | required | how fast, in cm/s |",
        "| `words` | a list with commas, each text | `a, b` |  |",
        "| `quiet` | yes or no | `yes` |  |",
        r"| `choice` | a\|b | none | which |",
    ]


def test_only_tables_are_replaced() -> None:
    text = "before\n<!-- keys: s -->\nold\n<!-- end -->\nafter\n"
    fresh = updated(text, {"s": Sample})
    assert fresh == f"before\n<!-- keys: s -->\n{table(Sample)}<!-- end -->\nafter\n"
    assert updated(fresh, {"s": Sample}) == fresh
