"""What a file contains, found by its first bytes and never by its name; compression is removed while it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal, cast

from backports import zstd

from scorehouse.errors import TableError
from scorehouse.scoring.resemblance import resemblance

Kind = Literal["text", "Parquet", "workbook"]
HEAD = 2**20  # bytes that decide how a text is written; its first row must fit
MOST_LAYERS = 3  # of compression: a gzip file in a zip file is usual
MOST_UNPACKED = 2**31  # bytes that are unpacked where a file must be held as a whole
_RATIO = 1000  # more than gzip can reach: beyond, a file was made to fill memory or time
_FREE = 2**26  # bytes that any file may unpack to
_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 27}  # as the zstd command allows: 128 MB
_TORN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, zipfile.BadZipFile, NotImplementedError)
_WORKBOOKS = ("[Content_Types].xml", "mimetype")  # the first entries of xlsx and of ods
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # xls
_NO_TABLES = ("Arrow", "an Arrow stream", "ORC", "Avro", "a PDF", "an SQLite database", "HDF5", "XML or HTML",
              "a Python pickle", "a NumPy array", "lz4", "snappy")  # fmt: skip

# A control character that no text has, or markup: a first column may well be called ORCID.
_OTHER_TEXT = re.compile(
    rb"(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*\"|(?P<sql>\s*(INSERT INTO|CREATE TABLE|-- (MySQL|PostgreSQL)))\b", re.IGNORECASE
)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1c\x1d]|\A\s*(<!|<\?xml|<html|<table|%PDF-\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file contains: a `stream` of it without compression, and the `layers` of compression that were removed."""

    kind: Kind
    stream: io.BufferedReader
    layers: tuple[str, ...]


def open_content(file: IO[bytes], most_layers: int = MOST_LAYERS, most: int = MOST_UNPACKED) -> Content:
    """Return what `file`, which can seek, contains. A stream of Parquet or of a workbook can seek as well.

    At most `most_layers` of compression are removed, and at most `most` bytes of a file are held as a whole.

    Raises:
        TableError: it is empty, no table, or an archive of several files. Reading the stream raises it too, if the
            file is torn or unpacks to more than it reasonably can. The message has no subject: `is empty`.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    stream = io.BufferedReader(cast("Any", _Stream(file, None)), min(HEAD, max(size, 8192)))
    layers: list[str] = []
    while opener := _compression(stream, layers, most):
        if len(layers) == most_layers:
            raise TableError(f"is compressed more than {'once' if most_layers == 1 else f'{most_layers} times'}")
        name, unpack = opener
        try:
            stream = io.BufferedReader(cast("Any", _Stream(unpack(stream), size)), HEAD)
        except _TORN as error:
            raise TableError(f"is not whole {name}: {error}") from error
        layers.append(name)
    kind = _kind(stream)
    if kind != "text" and layers:
        stream = _held(stream, most)
    return Content(kind, stream, tuple(layers))


def first_bytes(stream: io.BufferedReader, count: int = HEAD) -> bytes:
    """Return up to the first `count` bytes, HEAD at most, without moving on."""
    return stream.peek(count)[:count]


class _Stream(io.RawIOBase):
    """Reads `source`; what it unpacks from `size` bytes (None: it is not compressed) is bounded.

    It closes a source that is `owned`; the caller's file stays open.
    """

    def __init__(self, source: IO[bytes], size: int | None, owned: bool = False):
        self._source = source
        self._owned = owned
        self._size = size
        self._read = 0

    def close(self) -> None:
        if self._owned and not self.closed:
            self._source.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._size is None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill the whole buffer unless the source ends, so that what is peeked does not depend on how it was packed."""
        filled = 0
        try:
            while filled < len(buffer) and (part := self._source.read(len(buffer) - filled)):
                buffer[filled : filled + len(part)] = part
                filled += len(part)
        except (*_TORN, RuntimeError) as error:  # RuntimeError: a zip file with a password
            raise TableError(f"is torn: {error}") from error
        self._read += filled
        if self._size is not None and self._read > max(_FREE, _RATIO * self._size):
            raise TableError(f"unpacks to more than {_RATIO:,} times its size")
        return filled


def _compression(
    stream: io.BufferedReader, layers: list[str], most: int
) -> tuple[str, Callable[[Any], IO[bytes]]] | None:
    head = first_bytes(stream, 8)
    if head.startswith(b"\x1f\x8b"):
        return "gzip", lambda source: cast("IO[bytes]", gzip.GzipFile(fileobj=source))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd", lambda source: cast("IO[bytes]", zstd.ZstdFile(source, options=_WINDOW))
    if head.startswith(b"BZh") and head[4:8] == b"1AY&":
        return "bzip2", lambda source: cast("IO[bytes]", bz2.BZ2File(source))
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz", lambda source: cast("IO[bytes]", lzma.LZMAFile(source))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) and not _is_workbook(stream):
        return "zip", lambda source: _only_file(source if not layers else _held(source, most))
    return None


def _is_workbook(stream: io.BufferedReader) -> bool:
    """A zip file's first entry, whose name begins at byte 30, tells a workbook from an archive."""
    head = first_bytes(stream, 4096)
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length].decode(errors="replace")
    return first in _WORKBOOKS or first.startswith(("xl/", "_rels/", "docProps/"))


def _only_file(source: IO[bytes]) -> IO[bytes]:
    archive = zipfile.ZipFile(source)
    files = [i for i in archive.infolist() if not i.is_dir() and not i.filename.startswith(("__MACOSX/", "."))]
    if len(files) != 1:
        shown = ", ".join(i.filename for i in files[:3])
        raise TableError(f"is a zip archive of {len(files):,} files ({shown}): one table is one file")
    try:
        return archive.open(files[0])
    except RuntimeError as error:
        raise TableError(f"is torn: {error}") from error


def _kind(stream: io.BufferedReader) -> Kind:
    head = first_bytes(stream, 4096)
    if not head.strip():
        raise TableError("is empty")
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith(_OLD_WORKBOOK) or (head.startswith(b"PK\x03\x04") and _is_workbook(stream)):
        return "workbook"
    if head[257:262] == b"ustar":
        raise TableError("is a tar archive: one table is one file")
    if found := _OTHER_TEXT.match(head):
        raise TableError(f"is {'SQL' if found['sql'] else 'JSON'}, not a table: save it as CSV or Parquet")
    if _NO_TEXT.search(head) and (like := resemblance(head)) in _NO_TABLES:
        raise TableError(f"is not a table that can be read: it looks like {like}")
    return "text"


def _held(stream: IO[bytes], most: int) -> io.BufferedReader:
    """Return the whole rest of `stream` in memory or, beyond 64 MB, in a file, where one can seek."""
    held = tempfile.SpooledTemporaryFile(_FREE)  # noqa: SIM115 - it lives as long as what reads it
    left = most
    while part := stream.read(min(2**20, left + 1)):
        left -= len(part)
        if left < 0:
            held.close()
            raise TableError(f"unpacks to more than {most:,} bytes")
        held.write(part)
    held.seek(0)
    return io.BufferedReader(cast("Any", _Stream(cast("IO[bytes]", held), None, owned=True)), HEAD)
