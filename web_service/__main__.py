"""Starts insurance's web pages: `python -m web_service`."""

from __future__ import annotations

import sys
from threading import Event

from scorehouse.access import open_access
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.wsgi_server import WsgiServer
from use_cases.insurance import use_case
from web_service.main import build


def main() -> None:
    """Serve until SIGTERM, which finishes the requests under way."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    if settings.use_case != use_case.name:
        sys.exit(f"the web pages need USE_CASE={use_case.name}, but USE_CASE is {settings.use_case}")
    stop = Event()
    try:
        pages = build(settings, stop)
        server = WsgiServer(pages, settings.bind_address, settings.web_service_port, open_access(settings))
    except (ScorehouseError, OSError, ValueError) as error:
        sys.exit(f"the web pages cannot start: {error}")
    server.run()
    stop.set()


if __name__ == "__main__":
    main()
