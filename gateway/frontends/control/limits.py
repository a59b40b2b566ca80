"""How much may be asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec

Line = Annotated[str, msgspec.Meta(max_length=4096)]
"""What somebody types to be looked up."""
Row = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Where something is stored: as large as SQLite's numbers."""
