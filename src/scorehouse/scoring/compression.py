"""Compressed bodies and stream records, decompressed within a bound: a bomb costs no more than a long body."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from typing import cast

from backports import zstd

from scorehouse.errors import ScorehouseError

CODINGS = ("gzip", "deflate", "zstd")  # names as in HTTP's Content-Encoding
_BEGINNINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # no JSON and no table begins like this
_MEMBERS = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18")  # of gzip, of zstd, and frames that zstd skips
_PIECE = 64 * 1024  # bytes that are made at a time
MOST_MEMBERS = 1000  # each costs some microseconds, however little it holds
# 8 MB, as RFC 9659 asks of HTTP: a frame may ask for 2 GB.
_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


class BadCompression(ScorehouseError):
    """Bytes that are not what their coding says, or are cut off. The message has no subject: `is not whole gzip`.

    `made` bytes were decompressed before that was found.
    """

    made = 0


class TooLong(ScorehouseError):
    """Decompressed, it would have more bytes than the caller allows."""


def compression(data: bytes | bytearray) -> str:
    """Return the coding that the first bytes of `data` show, `gzip` or `zstd`; empty for none."""
    return next((coding for first, coding in _BEGINNINGS.items() if data.startswith(first)), "")


def require_few_members(data: bytes | bytearray) -> None:
    """Raise BadCompression for more than MOST_MEMBERS members or frames. They are counted and not read."""
    if sum(map(data.count, _MEMBERS)) > MOST_MEMBERS:
        raise BadCompression(f"has more than {MOST_MEMBERS:,} members")


def decompress(data: bytes | bytearray, coding: str, most: int) -> bytes:
    """Return `data` without `coding`, one of CODINGS, in at most `most` bytes.

    Raises:
        BadCompression: it is not in this coding, or is cut off.
        TooLong: it has more than `most` bytes; no more than that many were made.
    """
    require_few_members(data)
    plain = bytearray()
    try:
        for piece in _inflated(data) if coding == "deflate" else _read(_file(data, coding)):
            plain += piece[: most + 1 - len(plain)]
            if len(plain) > most:
                raise TooLong(f"has more than {most:,} bytes once it is decompressed")
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        bad = BadCompression(f"is not whole {coding}: {error}")
        bad.made = len(plain)
        raise bad from error
    return bytes(plain)


def _read(file: io.BufferedIOBase) -> Iterator[bytes]:
    return iter(partial(file.read, _PIECE), b"")


def _file(data: bytes | bytearray, coding: str) -> io.BufferedIOBase:
    """A file that reads all members or frames."""
    if coding == "gzip":
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    return cast("io.BufferedIOBase", zstd.ZstdFile(io.BytesIO(data), options=_WINDOW))


def _inflated(data: bytes | bytearray) -> Iterator[bytes]:
    """What HTTP calls deflate is zlib's format; some clients send it without zlib's head (RFC 9110, 8.4.1.2)."""
    with_head = len(data) > 1 and data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    stream = zlib.decompressobj(zlib.MAX_WBITS if with_head else -zlib.MAX_WBITS)
    more = bytes(data)
    while not stream.eof:
        piece = stream.decompress(more, _PIECE)
        if not piece and not stream.eof:
            raise EOFError("it ends too early")
        more = stream.unconsumed_tail
        yield piece
    if stream.unused_data.strip(b"\0 \t\r\n"):  # another stream, which would be lost silently
        raise zlib.error("more data follows its end")
