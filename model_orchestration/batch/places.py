"""Where a day's applications lie and where their answers go: a folder or a bucket, files named by the date.

`in/2026-11-20.parquet` (or .csv, .csv.gz) -> `out/2026-11-20.parquet` and `out/2026-11-20.rejected.parquet`.
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

ENDINGS = (".parquet", ".csv", ".csv.gz")
_NONE = {"404", "NoSuchKey", "NoSuchBucket"}
_PART = 2**20


def inputs_of(day: date) -> list[str]:
    """Return the names that a day's applications may have; only one of them may be there."""
    return [f"in/{day}{ending}" for ending in ENDINGS]


def outputs_of(day: date) -> tuple[str, str]:
    """Return the names of a day's answers and of its rejected rows."""
    return f"out/{day}.parquet", f"out/{day}.rejected.parquet"


class Place(Protocol):
    """A folder or a bucket."""

    def fetch(self, name: str, workspace: Path) -> Path | None:
        """Return a local file with the content of `name`, None where it is not there. Raises TableError."""

    def publish(self, file: Path, name: str) -> None:
        """Put `file`, which is whole, under `name` at once: nobody ever sees half of it. Raises TableError."""

    def workspace(self, day: date) -> Any:
        """Return a context whose value is the folder for a day's unfinished files. Raises AlreadyRunning."""


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path):
        """Make nothing yet."""
        self._root = root

    def __str__(self) -> str:
        """Return the path."""
        return str(self._root)

    def fetch(self, name: str, workspace: Path) -> Path | None:  # noqa: ARG002
        """Return the file itself."""
        return path if (path := self._root / name).is_file() else None

    def publish(self, file: Path, name: str) -> None:
        """Rename it, once it is on disk."""
        with file.open("rb") as written:
            os.fsync(written.fileno())
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)

    @contextmanager
    def workspace(self, day: date) -> Iterator[Path]:
        """Give a hidden folder beside the answers, one run a day at a time; what a killed run left is written over."""
        folder = self._root / "out" / f".{day}"
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(handle, day)
            try:
                yield folder
            finally:
                for left in folder.iterdir():
                    left.unlink()
                folder.rmdir()
        finally:
            os.close(handle)


def _lock(handle: int, day: date) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel's: it ends with the process
    except BlockingIOError as error:
        raise AlreadyRunning(f"the applications of {day} are being scored by another process") from error


class Bucket:
    """A prefix of an S3 bucket."""

    def __init__(self, address: str, endpoint: str):
        """Take s3://bucket/prefix; connect to nothing yet."""
        parts = urlsplit(address)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._client = aws_client("s3", endpoint)

    def __str__(self) -> str:
        """Return the address."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def fetch(self, name: str, workspace: Path) -> Path | None:
        """Copy the object into `workspace`, a piece at a time."""
        copy = workspace / Path(name).name
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]
            with copy.open("wb") as file:
                for part in body.iter_chunks(_PART):
                    file.write(part)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NONE:
                return None
            raise TableError(f"{self}/{name} cannot be read: {error}") from error
        except BotoCoreError as error:
            raise TableError(f"{self}/{name} cannot be read: {error}") from error
        return copy

    def publish(self, file: Path, name: str) -> None:
        """Put it in one call: an object is replaced whole or not at all."""
        try:
            with file.open("rb") as content:
                self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=content)
        except (BotoCoreError, ClientError) as error:
            raise TableError(f"{self}/{name} cannot be written: {error}") from error

    @contextmanager
    def workspace(self, day: date) -> Iterator[Path]:
        """Give a temporary folder: two runs of a day put the same objects, the second over the first."""
        with tempfile.TemporaryDirectory(prefix=f"batch-{day}-") as folder:
            yield Path(folder)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")


def place(address: str, endpoint: str = "") -> Place:
    """Return the place at `address`, a path or s3://bucket/prefix."""
    return Bucket(address, endpoint) if address.startswith("s3://") else Folder(Path(address).expanduser())


def place_of(use_case: UseCase, settings: Settings) -> Place:
    """Return where the use case's applications lie: BATCH_FOLDER, or its prefix of the bucket."""
    return place(settings.batch_folder or f"s3://{settings.bucket_name}/{use_case.name}/batch", settings.s3_address)


def day_of(text: str | None, use_case: UseCase, now: datetime) -> date:
    """Return the day that `text` names; the one before `now`, by the use case's own clock, if it names none.

    Raises:
        TableError: it is no day.
    """
    if not text:
        return (now.astimezone(ZoneInfo(use_case.schedule.timezone)) - timedelta(days=1)).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TableError(f"DATE={text!r}: a day is written YYYY-MM-DD") from error


def find(where: Place, day: date, workspace: Path) -> tuple[str, Path]:
    """Return the name of a day's applications and a local file of them.

    Raises:
        TableError: there are none, or more than one file of them.
    """
    found = [(name, file) for name in inputs_of(day) if (file := where.fetch(name, workspace))]
    if not found:
        raise TableError(f"there are no applications of {day}: {where} has none of {', '.join(inputs_of(day))}")
    if len(found) > 1:
        raise TableError(f"{where} has {' and '.join(name for name, _ in found)}: which are the applications of {day}?")
    return found[0]
