"""Starts the HTTP scorer: `python -m server.web`."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import uvicorn

from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound, UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings


def check_run(settings: Settings) -> None:
    """End the process with one line if RUN_ID names a run that does not exist or cannot be served."""
    try:
        use_case = load_use_case(settings.use_case)
        if len(settings.run_id) == 32:
            cache = BundleCache.of(settings)
            cache.load(cache.resolve(use_case.name, settings.run_id)).scorer(use_case)
    except (RegistryUnavailable, CacheUnavailable) as error:
        sys.stderr.write(f"{error}; starting anyway and trying again\n")
    except (BundleError, RunNotFound, UseCaseError) as error:
        sys.exit(f"cannot serve: {error}")


def main() -> None:
    """Serve until SIGTERM; requests under way are still answered."""
    settings = settings_or_exit()
    check_run(settings)
    if settings.scorer_workers > 1:  # the workers share their metrics through files
        folder = settings.data_folder / "metrics" / "http"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn raises the signal again once it has stopped
    uvicorn.run(
        "server.web.main:build",
        factory=True,
        interface="asgi3",  # not called as ASGI: our connections hand whole requests to the door
        http="server.web.transport.connection:Connection",
        ws="none",
        loop="uvloop",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        host=settings.bind_address,
        port=settings.scorer_port,
        workers=settings.scorer_workers,
        timeout_graceful_shutdown=10,
        log_config=None,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
