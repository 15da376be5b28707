"""The folder that is served: zipped pages, an index, and the removal of old pages."""

from __future__ import annotations

import gzip
import os
import re
from datetime import UTC, datetime
from pathlib import Path

INDEX = "index.html"
_TIME = re.compile(r"^(\d{8}T\d{4}Z)-")


class ReportFolder:
    """Replaces whole files, so that no reader sees half of one. Disk errors are OSError."""

    def __init__(self, folder: Path):
        """Write nothing yet."""
        self.folder = folder

    def write_page(self, name: str, html: str) -> None:
        """Write `<name>.html.gz`, which is served as `<name>.html`."""
        self._replace(self.folder / f"{name}.html.gz", gzip.compress(html.encode(), mtime=0))

    def write_index(self, html: str) -> None:
        """Write the index."""
        self._replace(self.folder / INDEX, html.encode())

    def forget(self, before: datetime) -> int:
        """Remove the pages of windows that ended before a time, by the time in their names; return how many."""
        pages = self.folder.glob("*/*.html.gz")
        old = [path for path in pages if (ended := _window_end(path)) is not None and ended < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _replace(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)


def _window_end(path: Path) -> datetime | None:
    match = _TIME.match(path.name)
    return datetime.strptime(match[1], "%Y%m%dT%H%MZ").replace(tzinfo=UTC) if match else None
