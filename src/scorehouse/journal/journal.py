"""Every answer on disk before it leaves: append-only segments of JSON lines, each with one writer."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol

from scorehouse.errors import JournalError

log = logging.getLogger(__name__)
SEGMENT_BYTES = 16 * 2**20
LOOK_SECONDS = 1.0  # between two looks whether the segment was deleted: until then its lines can still be read
_COPIED = 2**20  # bytes at a time
_OPEN, _PARTIAL = ".jsonl", ".new"


class PredictionLog(Protocol):
    """Where a door writes its answers before they leave."""

    def append(self, lines: bytes) -> None:
        """Write JSON `lines`, each ended by a newline. Raises JournalError: the caller must not answer."""

    def check(self) -> None:
        """Raise JournalError if an append would fail."""


class Journal:
    """Appends lines to this process's own segment of a folder that all doors of a machine share.

    One `write(2)` per call: the lines survive the process's death from then on (not a power cut: there is no fsync).
    The writer holds a lock on its segment; once the lock is gone no line follows, and the shipper may delete it.
    """

    def __init__(self, folder: Path, door: str, clock: Callable[[], int] = time.time_ns):
        """Write nothing yet: the first append creates `folder`, if it is missing, and the first segment."""
        self._folder = folder
        self._door = door
        self._clock = clock
        self._lock = Lock()
        self._path = folder
        self._file = -1
        self._size = 0
        self._looked = 0.0

    def append(self, lines: bytes) -> None:
        """Write `lines`, each ended by a newline.

        Raises:
            JournalError: they are not on disk (disk full, folder gone): the caller must not answer.
        """
        with self._lock:
            try:
                if self._file < 0 or self._size >= SEGMENT_BYTES:
                    self._start_segment()
                written = os.write(self._file, lines)
            except OSError as error:
                self._end_segment()
                raise JournalError(f"the prediction journal cannot be written: {error.strerror or error}") from error
            if written != len(lines):  # none of them is answered, not even the whole ones before the cut
                with suppress(OSError):
                    os.ftruncate(self._file, self._size)
                self._end_segment()
                raise JournalError("the prediction journal cannot be written: the disk is full")
            self._size += written
            now = time.monotonic()
            if now - self._looked >= LOOK_SECONDS or self._size >= SEGMENT_BYTES:
                self._looked = now
                if os.fstat(self._file).st_nlink == 0:
                    self._restore_after_append(written)

    def check(self) -> None:
        """Raise JournalError if an append would fail because the folder or space is missing; write no line."""
        with self._lock:
            try:
                if self._file < 0:
                    self._start_segment()
                elif os.fstat(self._file).st_nlink == 0:
                    self._restore()
                disk = os.fstatvfs(self._file)
            except OSError as error:
                self._end_segment()
                raise JournalError(f"the prediction journal cannot be written: {error.strerror or error}") from error
        if disk.f_bavail * disk.f_frsize < 2**20:
            raise JournalError("the prediction journal cannot be written: the disk is full")

    def close(self) -> None:
        """End the segment: its lock is released. What somebody deleted is written again first, if that is possible."""
        with self._lock:
            if self._file >= 0 and self._size and os.fstat(self._file).st_nlink == 0:
                with suppress(OSError):
                    self._restore()
            self._end_segment()

    def _start_segment(self) -> None:
        self._end_segment()
        self._folder.mkdir(parents=True, exist_ok=True)
        # The random part is needed because containers share the folder and repeat process ids, and clocks step.
        name = f"{self._door}-{os.getpid()}-{os.urandom(4).hex()}-{self._clock()}"
        partial, self._path = self._folder / (name + _PARTIAL), self._folder / (name + _OPEN)
        self._file, self._size = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o640), 0
        fcntl.flock(self._file, fcntl.LOCK_EX)
        partial.rename(self._path)  # the shipper sees it only once it is locked

    def _restore_after_append(self, written: int) -> None:
        """Restore a deleted segment; if that fails, take the last append back, because it is not answered."""
        try:
            self._restore()
        except OSError as error:
            self._size -= written
            os.ftruncate(self._file, self._size)
            raise JournalError(f"the prediction journal was deleted and cannot be restored: {error}") from error

    def _restore(self) -> None:
        """Copy a segment that somebody deleted, and that only this process can still read, to a new one.

        Its lines were answered. Those that are stored already change nothing when they are stored again.
        """
        deleted, path, size = self._file, self._path, self._size
        self._file = -1
        try:
            self._start_segment()
            for start in range(0, size, _COPIED):
                block = os.pread(deleted, min(_COPIED, size - start), start)
                if os.write(self._file, block) != len(block):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._end_segment()
            self._file, self._path, self._size = deleted, path, size
            raise
        self._size = size
        os.close(deleted)
        log.warning(
            "%s was deleted while a door wrote to it; its %d bytes were written again to %s. "
            "Do not delete files of the journal: the shipper does, once they are stored",
            path.name, size, self._path.name,
        )  # fmt: skip

    def _end_segment(self) -> None:
        if self._file < 0:
            return
        if not self._size:  # or a full disk would collect empty files; the shipper deletes what remains
            with suppress(OSError):
                self._path.unlink()
        os.close(self._file)
        self._file = -1


class Segment:
    """One segment as the shipper reads it, from where it stopped."""

    def __init__(self, path: Path):
        """Start at the first byte: storing lines again after a restart changes nothing."""
        self.path, self.offset = path, 0

    def read(self, most: int = 4 * 2**20) -> tuple[list[bytes], int]:
        """Return the next finished lines, about `most` bytes of them, and the offset after them.

        Raises:
            FileNotFoundError: the writer ended it before the first line, or it was deleted.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            block = file.read(most)
            while block and b"\n" not in block and (more := file.read(most)):
                block += more
        end = block.rfind(b"\n") + 1  # a torn last line was never acknowledged
        return block[:end].split(b"\n")[:-1], self.offset + end

    def done(self, offset: int) -> None:
        """Remember that everything before `offset` is stored."""
        self.offset = offset

    def delete_if_finished(self) -> bool:
        """Delete the file if its writer is gone and every finished line is stored; return whether it was deleted."""
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            lines, _ = self.read()  # what the writer added before it ended
            if not lines:
                self.path.unlink(missing_ok=True)
            return not lines


def segments(folder: Path) -> Iterator[Path]:
    """Yield the folder's segments, oldest first."""
    yield from sorted(folder.glob("*" + _OPEN), key=lambda path: path.stem.rpartition("-")[2])
