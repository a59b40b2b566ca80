"""What a micro:bit runs: a robot, its dictionary and the tiny client, made small.

Each name takes memory on the board, and so does compiling: that is what decides whether it fits.
"""

from __future__ import annotations

import ast
import importlib.resources
import json
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Final

from boardtalk.hil.firmware import MAIN
from boardtalk.modules.iot_bridge.dictionary import digest, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY: Final = Path(str(importlib.resources.files("boardtalk.firmware"))) / "tiny"


def files(robot: Path = TINY) -> dict[str, bytes]:
    """What goes on the flash.

    Args:
        robot: a folder with `robot.py` and `dictionary.json`; its `main.py` is for other boards.

    Raises:
        DictionaryError: the dictionary is not valid.
        OSError: a file is missing.
    """
    dictionary = json.dumps(
        json.loads((robot / "dictionary.json").read_text()), separators=(",", ":")
    ).encode()
    parse(dictionary)
    sources = {path.name: path for path in (*TINY.glob("*.py"), *robot.glob("*.py"))}
    sources[MAIN] = TINY / MAIN
    return {
        **{name: small(path.read_text()).encode() for name, path in sources.items()},
        "dictionary.json": dictionary,
        "dictionary.py": f"DIGEST = {digest(dictionary)!r}\nSIZE = {len(dictionary)}\n".encode(),
    }


def small(source: str) -> str:
    """Without comments and docstrings, with the numbers of its constants in their places, and short names."""
    tree = ast.parse(source)
    constants = {name: value for statement in tree.body for name, value in _constant(statement)}
    return ast.unparse(ast.fix_missing_locations(_Smaller(constants).visit(tree))) + "\n"


def _constant(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """What `NAME = const(number)` defines."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"), args=[value])):
            yield name, value


class _Smaller(ast.NodeTransformer):
    def __init__(self, constants: dict[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id in self._constants:
            return None
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Its own names get one letter; functions share these."""
        self.generic_visit(node)
        names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
        shared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
        stored = [each.id for each in names if isinstance(each.ctx, ast.Store)]
        own = dict.fromkeys(
            name for name in (*(arg.arg for arg in node.args.args), *stored) if name not in shared
        )
        letters = dict(zip(own, ascii_lowercase, strict=False))
        for name in names:
            name.id = letters.get(name.id, name.id)
        for arg in node.args.args:
            arg.arg = letters[arg.arg]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [name for name in node.names if name.name != "const"]
        return node if node.names else None
