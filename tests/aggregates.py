"""Aggregated stream records, as a real producer makes them: AWS's own aws-kinesis-agg."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable

_path = list(sys.path)
from aws_kinesis_agg.aggregator import AggRecord  # noqa: E402

sys.path[:] = _path  # it puts its own folder first

MAGIC = b"\xf3\x89\x9a\xc2"


def aggregate(records: Iterable[tuple[str, bytes]], hash_key: str | None = None) -> bytes:
    """Return one aggregate of (partition key, data). It may be larger than the producer allows."""
    packed = AggRecord(max_size=2**40)
    for key, data in records:
        assert packed.add_user_record(key, data, hash_key)
    return bytes(packed.get_contents()[2])


def sealed(message: bytes) -> bytes:
    """Return `message`, which may be anything, as an aggregate whose checksum is right."""
    return MAGIC + message + hashlib.md5(message).digest()
