"""Serves the report folder without Nginx: `python -m reporting.serve`, port 8888 of this machine."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from flask import Flask, Response, abort, request
from werkzeug.security import safe_join

from reporting.folder import INDEX
from scorehouse.access import open_access
from scorehouse.environment import settings_or_exit
from scorehouse.logs import start_logging
from scorehouse.wsgi_server import WsgiServer

NO_REPORTS = Path(__file__).parents[1] / "server" / "gateway" / "none.html"  # Nginx shows it, too
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}


def create_app(folder: Path) -> Flask:
    """Return the application: GET and HEAD of the *.html pages in `folder`, and of nothing else.

    A page that is zipped on disk is sent zipped, or unzipped to a reader that does not accept gzip.
    """
    app = Flask(__name__, static_folder=None)

    @app.get("/")
    @app.get("/<path:name>")
    def page(name: str = INDEX) -> Response:
        path = Path(safe_join(str(folder), name) or abort(404))
        zipped = path.with_name(f"{path.name}.gz")
        if path.suffix == ".html" and zipped.is_file():
            return _zipped(zipped.read_bytes())
        if path.suffix == ".html" and path.is_file():
            return _html(path.read_bytes())
        if name == INDEX:
            return _html(NO_REPORTS.read_bytes())
        return abort(404, "There is no such report.")

    return app


def _zipped(content: bytes) -> Response:
    if not request.accept_encodings.quality("gzip"):
        return _html(gzip.decompress(content))
    answer = _html(content)
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _html(content: bytes) -> Response:
    return Response(content, mimetype="text/html", headers=HEADERS)


def main() -> None:
    """Serve until SIGTERM."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    app = create_app(settings.reports_folder.resolve())
    try:
        server = WsgiServer(app, settings.bind_address, settings.report_port, open_access(settings))
    except OSError as error:
        sys.exit(f"reports: REPORT_PORT={settings.report_port}: {error.strerror}")
    server.run()


if __name__ == "__main__":
    main()
