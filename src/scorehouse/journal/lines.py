"""Files of JSON lines, one of which can be erased in place while its writer goes on appending."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from scorehouse.stores.store import Document

ERASED = b'{"kind":"erased"}'  # overwrites an erased line, padded with blanks to its length


class Line(NamedTuple):
    """A finished line: where it starts, its length without the newline, and what it says."""

    start: int
    size: int
    content: Document


def lines_of(path: Path) -> list[Line]:
    """Return the finished lines of a file that are JSON objects."""
    found, start = [], 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            content = orjson.loads(line)
        except orjson.JSONDecodeError:
            content = None  # no process of ours wrote this line
        if isinstance(content, dict):
            found.append(Line(start, len(line), content))
        start += len(line) + 1
    return found


def blank(path: Path, lines: Sequence[Line]) -> int:
    """Overwrite lines in place, and return how many."""
    if lines:
        file = os.open(path, os.O_WRONLY)  # not O_APPEND, with which Linux ignores the offset
        try:
            for line in lines:
                os.pwrite(file, ERASED.ljust(line.size), line.start)
            os.fsync(file)
        finally:
            os.close(file)
    return len(lines)
