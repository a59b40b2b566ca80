"""The page process; the gateway starts it, as ``python -m boardtalk.web SETTINGS``."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvicorn

from boardtalk.page.settings import PageSettings
from boardtalk.runtime import logs
from boardtalk.runtime.precedence import fall_back
from boardtalk.web.door import Door
from boardtalk.web.guard import MAX_BODY_BYTES
from boardtalk.web.server import application

MAX_CONNECTIONS = 500
MAX_HEAD_BYTES = 16 * 1024
"""Of a request that is not complete yet."""
BACKLOG = 128
"""So many are accepted in a row: none of them is heard in between."""


def main() -> None:
    """Serve until the gateway ends."""
    fall_back()
    logs.configure()
    settings = msgspec.json.decode(sys.argv[1], type=PageSettings)
    door = Door(settings.fd)
    config = uvicorn.Config(
        application(settings, door),
        http="h11",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_level="error",  # strangers must not fill the log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.key or None,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[door]))


if __name__ == "__main__":
    main()
