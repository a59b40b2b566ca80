"""The page process: ``python -m boardtalk.web STATE-FOLDER PORT USER``."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from boardtalk.web.server import application

if __name__ == "__main__":
    folder, port, user = sys.argv[1:]
    uvicorn.run(
        application(Path(folder), user),
        port=int(port),
        ws="websockets-sansio",
        server_header=False,
        log_level="warning",
    )
