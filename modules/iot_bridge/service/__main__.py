"""The link process as a program."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.service.daemon import detach
from boardtalk.modules.iot_bridge.service.server import LINGER_S, Service
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Run it; exit code 0 when it ended as it should, else 1."""
    parser = argparse.ArgumentParser(prog="link process", description="owns the ports of a gateway")
    parser.add_argument("--state", type=Path, required=True, help="the gateway's state folder")
    parser.add_argument("--linger", type=float, default=LINGER_S, help="seconds without a gateway")
    parser.add_argument("--detach", action="store_true", help="return as soon as it listens")
    options = parser.parse_args()
    state = options.state.resolve()

    def serve(ready: Callable[[], None]) -> None:
        asyncio.run(Service(state, options.linger).run(ready))

    if options.detach:
        return detach(serve, state / "link.log")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        serve(lambda: None)
    except ServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
