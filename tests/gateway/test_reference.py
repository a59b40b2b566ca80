"""The references of keys and of the module API are what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from boardtalk import sdk
from boardtalk.reference import MARK, updated
from boardtalk.reference.api import definitions, described
from boardtalk.reference.keys import known_tables, table
from boardtalk.sdk import Settings

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENTS = [path for path in sorted(DOCS.rglob("*.md")) if MARK.search(path.read_text())]


def marked(what: str) -> list[str]:
    """What the documents ask for."""
    parts = [part for path in DOCUMENTS for part in MARK.finditer(path.read_text())]
    return [part[3] for part in parts if part[2] == what]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_document_is_current(document: Path) -> None:
    text = document.read_text()
    assert text == updated(text), "run: make reference"


def test_every_block_has_its_table() -> None:
    assert sorted(marked("keys")) == sorted(known_tables())


def test_every_name_that_modules_and_their_tests_import_is_explained_once() -> None:
    names = [name for names in marked("api") for name in names.split()]
    assert sorted(names) == sorted([*sdk.__all__, "bench", "planned", "Bench"])


def test_no_attribute_or_constant_is_without_explanation() -> None:
    known = definitions()
    explained = "\n".join(known[name] for name in (*sdk.__all__, "bench", "planned", "Bench"))
    assert re.findall(r"^- `[^`]+`$", explained, re.MULTILINE) == []
    assert re.findall(r"^### .+\n\n```python\n[^`]+```\n+(?:#|\Z)", explained, re.MULTILINE) == []


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


SOURCE = '''
class Door(Thing, frozen=True):  # of wood
    """What opens.

    ::

        with door.opened():
            ...

    Args:
        width: in cm, of
            the frame.
        locked: whether it stays shut.
    """

    width: int = 80
    """In centimetres."""
    _secret = 1

    def __init__(self, width: int, *, locked: bool = False) -> None:
        self.width = width

    @property
    def wide(self) -> bool:
        """Whether a robot
        fits through."""
        return self.width > 90

    async def open(
        self,
        by: str,  # who
    ) -> None:
        """Open it.

        Raises:
            Refused: it is locked.

        Then wait.
        """
        print("open")
'''
EXPLAINED = """\
### `Door`

```python
class Door(Thing, frozen=True)

Door(width: int, *, locked: bool = False)
```

What opens.

```python
with door.opened():
    ...
```

Arguments:

- `width`: in cm, of the frame.
- `locked`: whether it stays shut.

Attributes:

- `width: int = 80`: In centimetres.
- `wide: bool`: Whether a robot fits through.

#### `Door.open`

```python
async def open(
    self,
    by: str,
) -> None
```

Open it.

Raises:

- `Refused`: it is locked.

Then wait.
"""


def test_a_class_is_explained_by_signatures_and_docstrings() -> None:
    assert described(SOURCE) == {"Door": EXPLAINED}


def test_only_marked_parts_are_replaced() -> None:
    text = "before\n<!-- keys: allow -->\nold\n<!-- end -->\nafter\n<!-- api: PASS -->\n<!-- end -->\n"
    keys, name = table(known_tables()["allow"]), definitions()["PASS"]
    fresh = (
        f"before\n<!-- keys: allow -->\n{keys}<!-- end -->\nafter\n<!-- api: PASS -->\n{name}<!-- end -->\n"
    )
    assert updated(text) == fresh
    assert updated(fresh) == fresh
