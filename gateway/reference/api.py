"""The names of the module API, as Markdown: signatures and docstrings as they stand in the sources."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Final

from boardtalk import sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

_SDK: Final = Path(str(sdk.__file__)).parent
SOURCES: Final = (*sorted(_SDK.glob("*.py")), _SDK.parent / "testing.py")
"""What the reference is made of; nothing of it is imported for that."""
_EXAMPLE: Final = re.compile(r"^::\n\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_SECTION: Final = re.compile(r"^(Args|Raises):\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_TITLES: Final = {"Args": "Arguments", "Raises": "Raises"}


@dataclass(frozen=True, slots=True)
class _Definition:
    """One name that a file or a class defines."""

    name: str
    node: ast.stmt
    source: str
    docstring: str

    @property
    def signature(self) -> str:
        """Its own text, without what a function does or a class has."""
        if not isinstance(self.node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            return ast.get_source_segment(self.source, self.node) or ""
        first = min(each.lineno for each in (self.node, *self.node.decorator_list))
        lines = self.source.splitlines()[first - 1 : self.node.body[0].lineno - 1]
        text = "\n".join(re.sub(r"  # .*", "", line) for line in lines)
        return dedent(text).rstrip().removesuffix(":")

    @property
    def is_attribute(self) -> bool:
        """Whether it is used without a call."""
        is_function = isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef)
        return not is_function or self.signature.startswith("@property")


def definitions() -> dict[str, str]:
    """What the reference says about each public name."""
    return {name: text for path in SOURCES for name, text in described(path.read_text()).items()}


def described(source: str) -> dict[str, str]:
    """The public names that a source defines, as Markdown."""
    found = _defined(ast.parse(source).body, source)
    return {each.name: "\n".join(_entry(each)) for each in found if not each.name.startswith("_")}


def _defined(body: list[ast.stmt], source: str) -> Iterator[_Definition]:
    for node, following in pairwise([*body, ast.Pass()]):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield _Definition(name, node, source, ast.get_docstring(node) or "")
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield _Definition(name, node, source, _string(following))


def _string(node: ast.stmt) -> str:
    """The string that explains the attribute above it."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return cleandoc(text)
    return ""


def _entry(definition: _Definition) -> Iterator[str]:
    """A function or constant, or a class with its attributes and methods."""
    node = definition.node
    inner = list(_defined(node.body, definition.source)) if isinstance(node, ast.ClassDef) else []
    public = [each for each in inner if not each.name.startswith("_")]
    yield f"### `{definition.name}`\n"
    yield _code(_called(definition, inner))
    if definition.docstring:
        yield _markdown(definition.docstring)
    attributes = [_attribute(each) for each in public if each.is_attribute]
    if attributes:
        yield "\n".join(["Attributes:\n", *attributes, ""])
    iterated = [each for each in inner if each.name == "__aiter__"]
    for each in [*(each for each in public if not each.is_attribute), *iterated]:
        yield f"#### `{definition.name}.{each.name}`\n"
        yield _code(each.signature)
        yield _markdown(each.docstring)


def _called(definition: _Definition, inner: list[_Definition]) -> str:
    """A signature; of a class whose docstring tells its arguments, how it is made too."""
    made = [each for each in inner if each.name == "__init__" and "Args:" in definition.docstring]
    if not made:
        return definition.signature
    arguments = re.sub(r"^def __init__\((\s*)self,\s*", r"\1", made[0].signature).removesuffix(" -> None")
    return f"{definition.signature}\n\n{definition.name}({arguments}"


def _attribute(definition: _Definition) -> str:
    signature = definition.signature
    if signature.startswith("@property"):
        signature = re.sub(r"@property\ndef (\w+)\(self\) -> (.*)", r"\1: \2", signature)
    meaning = " ".join(definition.docstring.split())
    return f"- `{signature}`" + (f": {meaning}" if meaning else "")


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _markdown(docstring: str) -> str:
    text = _EXAMPLE.sub(lambda found: _code(dedent(found[1]).strip()) + "\n", f"{docstring}\n")
    return _SECTION.sub(lambda found: _section(found[1], dedent(found[2])), text).rstrip() + "\n"


def _section(title: str, text: str) -> str:
    """``Args:`` or ``Raises:``, of which each line that is not indented begins an item."""
    items = [" ".join(item.split()).partition(": ") for item in re.split(r"\n(?=\S)", text.strip())]
    listed = "\n".join(f"- `{name}`: {meaning}" for name, _, meaning in items)
    return f"{_TITLES[title]}:\n\n{listed}\n\n"
