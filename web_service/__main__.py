"""Starts insurance's web pages: `python -m web_service`."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces

from scorehouse.environment import settings_or_exit
from use_cases.insurance import use_case

THREADS = 8  # a stalled client holds one


def main() -> None:
    """Serve until SIGTERM, which finishes the requests under way."""
    settings = settings_or_exit()
    if settings.use_case != use_case.name:
        sys.exit(f"the web pages are of {use_case.name}: USE_CASE is {settings.use_case}")
    Granian(
        "web_service.main:build",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.bind_address,
        port=settings.web_service_port,
        workers=1,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=10,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main()
