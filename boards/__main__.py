"""``python -m boardtalk.boards > docs/board.schema.json``: the JSON Schema of a definition, for editors."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from boardtalk.boards.definition import Definition


def schema() -> dict[str, Any]:
    """What an editor needs to complete and to check a file."""
    made = msgspec.json.schema(Definition)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n")
