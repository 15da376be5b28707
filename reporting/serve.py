"""Serves the report folder without Nginx: `python -m reporting.serve`, port 8888 of this machine."""

from __future__ import annotations

import gzip
import signal
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

from reporting.folder import INDEX
from scorehouse.environment import settings_or_exit

NONE = Path(__file__).parent / "nginx" / "none.html"


class Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of pages; what is zipped on disk goes out zipped, or not where the reader cannot unzip."""

    timeout = 10.0  # a client that sends nothing holds its thread no longer

    def send_head(self) -> BytesIO | None:
        """Answer with a page's head and return its body; 404 without one. Nothing but *.html is served."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path = path / INDEX
        zipped = path.with_name(f"{path.name}.gz")
        content, coding = b"", ""
        if path.suffix == ".html" and zipped.is_file():
            content, coding = zipped.read_bytes(), "gzip"
        elif path.suffix == ".html" and path.is_file():
            content = path.read_bytes()
        elif path == Path(self.directory) / INDEX:
            content = NONE.read_bytes()
        else:
            self.send_error(HTTPStatus.NOT_FOUND, "There is no such report")
            return None
        if coding and "gzip" not in self.headers.get("Accept-Encoding", ""):
            content, coding = gzip.decompress(content), ""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Vary", "Accept-Encoding")
        if coding:
            self.send_header("Content-Encoding", coding)
        self.end_headers()
        return BytesIO(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: who reads what is no news."""


def server(host: str, port: int, folder: Path) -> ThreadingHTTPServer:
    """Return the server of `folder`, listening. Raises OSError where the port is taken."""
    return ThreadingHTTPServer((host, port), partial(Handler, directory=str(folder)))


def main() -> None:
    """Serve until SIGTERM."""
    settings = settings_or_exit()
    try:
        made = server(settings.bind_address, settings.report_port, settings.reports_folder.resolve())
    except OSError as error:
        sys.exit(f"reports: port {settings.report_port}: {error}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        made.serve_forever()
    except KeyboardInterrupt:
        made.server_close()


if __name__ == "__main__":
    main()
