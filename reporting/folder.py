"""The folder that is served: pages, zipped on disk, an index, and the removal of what is old."""

from __future__ import annotations

import gzip
import os
import re
from datetime import UTC, datetime
from pathlib import Path

INDEX = "index.html"
_TIME = re.compile(r"^(\d{8}T\d{4}Z)-")


class ReportFolder:
    """Writes whole files or none, whoever reads them meanwhile. Errors of the disk are OSError."""

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
        """Remove the pages of windows that ended before a time, by their names; return how many files."""
        old = [path for path in self.folder.glob("*/*.html.gz") if (at := _ended(path)) is not None and at < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _replace(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)


def _ended(path: Path) -> datetime | None:
    found = _TIME.match(path.name)
    return datetime.strptime(found[1], "%Y%m%dT%H%MZ").replace(tzinfo=UTC) if found else None
