"""Reads the answers that come back over a stream, from `results` and `results-errors`."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import orjson

from scorehouse.streams.tail import Tail


class AnswerReader:
    """Finds the answers to this run's records in both streams and ignores all others."""

    def __init__(self, client: Any, results: str, errors: str, seed: int):
        """Start at the end of both streams. Create the reader before the first record is sent."""
        self._errors = errors
        self._tail = Tail(client, (results, errors))
        self._id = re.compile(rb"sim-%d-\d+" % seed)

    def read(self) -> Iterator[tuple[str, bool]]:
        """Yield each id that came since the last read, and whether its record was answered or else rejected."""
        for stream, data in self._tail.read():
            answered = stream != self._errors
            record = data if answered else b64decode(orjson.loads(data)["data"])  # an error contains its record
            for prediction_id in self._id.findall(record)[:1]:
                yield prediction_id.decode(), answered
