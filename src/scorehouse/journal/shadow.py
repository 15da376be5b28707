"""The logs of challengers: JSON lines in the monitor's folder of a use case, which erasure and retention reach.

`shadow-<run>.jsonl` is written by the monitor alone; `shadow-<run>.old.jsonl` is the one before it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import orjson

from scorehouse.journal.lines import blank, lines_of
from scorehouse.stores.store import Key

LOCK = "shadow.lock"


@contextmanager
def hold_shadow(folder: Path) -> Iterator[None]:
    """Keep others from the logs of one use case: a challenger, from reading the store until its lines are written."""
    with (folder / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def erase_shadow(monitor_folder: Path, keys: Collection[Key]) -> int:
    """Overwrite the lines of these predictions in the logs of all use cases; return how many."""
    count = 0
    for folder in _folders(monitor_folder):
        ids = {key.prediction_id for key in keys if key.use_case == folder.name}
        with hold_shadow(folder):
            for path in _logs(folder):
                count += blank(path, [line for line in lines_of(path) if line.content.get("prediction_id") in ids])
    return count


def expire_shadow(monitor_folder: Path, before: datetime) -> int:
    """Drop the lines of predictions from before a time, and erased ones; return how many."""
    count = 0
    for folder in _folders(monitor_folder):
        with hold_shadow(folder):
            count += sum(_expire(path, before) for path in _logs(folder))
    return count


def _folders(monitor_folder: Path) -> list[Path]:
    return [folder for folder in sorted(monitor_folder.glob("*")) if _logs(folder)]


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("shadow-*.jsonl"))


def _expire(path: Path, before: datetime) -> int:
    lines = lines_of(path)
    young = [one.content for one in lines if "created_at" in one.content and _time(one.content["created_at"]) >= before]
    if len(young) < len(lines):
        partial = path.with_suffix(".new")
        partial.write_bytes(b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in young))
        partial.replace(path)
    return len(lines) - len(young)


def _time(said: str) -> datetime:
    return datetime.fromisoformat(said)
