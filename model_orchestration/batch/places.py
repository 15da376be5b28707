"""Where a day's applications are and where their answers go: a folder or a bucket, with files named by the date.

`in/2026-11-20.parquet` (or .csv, .csv.gz, .xlsx, .zip) -> `out/2026-11-20.parquet` and
`out/2026-11-20.rejected.parquet`.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from botocore.exceptions import BotoCoreError, ClientError

from scorehouse.aws import aws_client
from scorehouse.errors import AlreadyRunning, TableError
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase

ENDINGS = (".parquet", ".csv", ".csv.gz", ".xlsx", ".zip")  # where to look; the content decides what it is
_NOT_FOUND = {"404", "NoSuchKey", "NoSuchBucket"}
_PART = 2**20  # bytes that are copied at a time


def input_names(day: date) -> list[str]:
    """Return the names that the file of a day's applications may have. Only one of them may exist."""
    return [f"in/{day}{ending}" for ending in ENDINGS]


def output_names(day: date) -> tuple[str, str]:
    """Return the names of the files with a day's answers and with its rejected rows."""
    return f"out/{day}.parquet", f"out/{day}.rejected.parquet"


class Place(Protocol):
    """A folder or a bucket."""

    def fetch(self, name: str, workspace: Path) -> Path | None:
        """Return a local file with the content of `name`, or None if it does not exist. Raises TableError."""

    def publish(self, file: Path, name: str) -> None:
        """Put the complete `file` at `name` in one step, so that nobody ever sees half of it. Raises TableError."""

    def workspace(self, day: date) -> Any:
        """Return a context manager for the folder of a day's unfinished files. Raises AlreadyRunning."""


class Folder:
    """A folder on this machine."""

    def __init__(self, root: Path):
        """Create nothing yet."""
        self._root = root

    def __str__(self) -> str:
        """Return the path."""
        return str(self._root)

    def fetch(self, name: str, workspace: Path) -> Path | None:  # noqa: ARG002
        return path if (path := self._root / name).is_file() else None

    def publish(self, file: Path, name: str) -> None:
        """Rename the file once its content is on disk."""
        with file.open("rb") as written:
            os.fsync(written.fileno())
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)

    @contextmanager
    def workspace(self, day: date) -> Iterator[Path]:
        """Yield a hidden folder next to the answers, for one run of a day at a time. Old files in it are replaced."""
        folder = self._root / "out" / f".{day}"
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(handle, day)
            try:
                yield folder
            finally:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()
        finally:
            os.close(handle)


def _lock(handle: int, day: date) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a lock of the kernel, which ends with the process
    except BlockingIOError as error:
        raise AlreadyRunning(f"the applications of {day} are being scored by another process") from error


class Bucket:
    """A prefix of an S3 bucket."""

    def __init__(self, address: str, endpoint: str):
        """Take s3://bucket/prefix. Do not connect yet."""
        parts = urlsplit(address)
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        self._client = aws_client("s3", endpoint)

    def __str__(self) -> str:
        """Return the address."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def fetch(self, name: str, workspace: Path) -> Path | None:
        """Copy the object into `workspace`, a part at a time."""
        copy = workspace / Path(name).name
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]
            with copy.open("wb") as file:
                for part in body.iter_chunks(_PART):
                    file.write(part)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_FOUND:
                return None
            raise TableError(f"{self}/{name} cannot be read: {error}") from error
        except BotoCoreError as error:
            raise TableError(f"{self}/{name} cannot be read: {error}") from error
        return copy

    def publish(self, file: Path, name: str) -> None:
        """Put the file in one call: S3 replaces an object completely or not at all."""
        try:
            with file.open("rb") as content:
                self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=content)
        except (BotoCoreError, ClientError) as error:
            raise TableError(f"{self}/{name} cannot be written: {error}") from error

    @contextmanager
    def workspace(self, day: date) -> Iterator[Path]:
        """Yield a temporary folder. A second run of a day replaces the objects of the first."""
        with tempfile.TemporaryDirectory(prefix=f"batch-{day}-") as folder:
            yield Path(folder)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")


def open_place(address: str, endpoint: str = "") -> Place:
    """Return the place at `address`, a path or s3://bucket/prefix."""
    return Bucket(address, endpoint) if address.startswith("s3://") else Folder(Path(address).expanduser())


def batch_place(use_case: UseCase, settings: Settings) -> Place:
    """Return the place of the use case's applications: BATCH_FOLDER, or its prefix in the bucket."""
    return open_place(
        settings.batch_folder or f"s3://{settings.bucket_name}/{use_case.name}/batch", settings.s3_address
    )


def parse_day(text: str | None, use_case: UseCase, now: datetime) -> date:
    """Return the day in `text`. If it is empty, return yesterday in the use case's time zone.

    Raises:
        TableError: the text is not a day.
    """
    if not text:
        return (now.astimezone(ZoneInfo(use_case.schedule.timezone)) - timedelta(days=1)).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TableError(f"DATE={text!r} is not a valid date: write it as YYYY-MM-DD") from error


def find_applications(place: Place, day: date, workspace: Path) -> tuple[str, Path]:
    """Return the name of a day's applications and a local file with their content.

    Raises:
        TableError: there is no such file, or more than one.
    """
    files = [(name, file) for name in input_names(day) if (file := place.fetch(name, workspace))]
    if not files:
        raise TableError(f"no input file for {day}: none of {', '.join(input_names(day))} exists in {place}")
    if len(files) > 1:
        names = " and ".join(name for name, _ in files)
        raise TableError(f"{place} contains {names}: keep only one file with the applications of {day}")
    return files[0]
