"""Downloads a use case's real table from its publisher: `make get-data`. Then train with DATA=data/<use case>.csv."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import requests
from rich.progress import Progress

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError, TableError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase

FOLDER = Path("data")
SECONDS = 60  # without a byte


def fetch(use_case: UseCase, folder: Path = FOLDER) -> Path:
    """Download the publisher's file, take the table out of its archive, and return the path of the table.

    Raises:
        TableError: the use case has no public address, or the publisher cannot be reached or sends no table.
    """
    if not use_case.download:
        raise TableError(
            f"the table for {use_case.name} cannot be downloaded by this command ({use_case.source}). "
            "Download it yourself and set DATA to its path; without DATA, a sample is generated"
        )
    content = _download(use_case.download)
    target = folder / f"{use_case.name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_table(content) if zipfile.is_zipfile(io.BytesIO(content)) else content)
    return target


def _download(address: str) -> bytes:
    parts = []
    try:
        with requests.get(address, stream=True, timeout=SECONDS) as answer, Progress(transient=True) as bar:
            answer.raise_for_status()
            work = bar.add_task("downloading", total=int(answer.headers.get("Content-Length", 0)) or None)
            for part in answer.iter_content(2**16):
                parts.append(part)
                bar.update(work, advance=len(part))
    except requests.RequestException as error:
        raise TableError(
            f"{address} cannot be downloaded ({error}). Get the table by hand and set DATA to its path"
        ) from error
    return b"".join(parts)


def _table(content: bytes) -> bytes:
    """Return the largest CSV file in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tables = [f for f in archive.infolist() if f.filename.lower().endswith(".csv")]
        if not tables:
            raise TableError(
                "the downloaded archive contains no CSV file: download the table yourself and set DATA to its path"
            )
        return archive.read(max(tables, key=lambda f: f.file_size))


def main() -> None:
    """Download the table and print how to train on it."""
    settings = settings_or_exit()
    try:
        use_case = load_use_case(settings.use_case)
        path = fetch(use_case)
    except ScorehouseError as error:
        sys.exit(f"get-data: {error}")
    sys.stdout.write(
        f"{path}: {path.stat().st_size:,} bytes. Train on it: `make demo USE_CASE={use_case.name} DATA={path}`\n"
    )


if __name__ == "__main__":
    main()
