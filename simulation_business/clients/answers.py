"""Which answers came back over a stream: reads `results` and `results-errors` from where they ended at the start."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import orjson

from scorehouse.streams.tail import Tail


class Answers:
    """Finds this run's ids in what both streams hold; records of others are passed over."""

    def __init__(self, client: Any, results: str, errors: str, seed: int):
        """Start behind what is there now: before the first record is sent."""
        self._errors, self._tail = errors, Tail(client, (results, errors))
        self._id = re.compile(rb"sim-%d-\d+" % seed)

    def read(self) -> Iterator[tuple[str, bool]]:
        """Yield each id that came since the last read, and whether it was answered (else it was rejected)."""
        for stream, data in self._tail.read():
            answered = stream != self._errors
            sent = data if answered else b64decode(orjson.loads(data)["data"])  # the record that has no answer
            for id_ in self._id.findall(sent)[:1]:
                yield id_.decode(), answered
