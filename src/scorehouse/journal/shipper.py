"""Moves finished journal lines to the store, in bulk and idempotently; deletes a segment once it is stored."""

from __future__ import annotations

import fcntl
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import orjson

from scorehouse import metrics
from scorehouse.errors import AlreadyRunning, StoreUnavailable
from scorehouse.journal.conflicts import add_conflicts
from scorehouse.journal.erasure import hold_journal
from scorehouse.journal.journal import Segment, segments
from scorehouse.journal.lines import ERASED
from scorehouse.journal.shadow import expire_shadow
from scorehouse.polling import poll_forever
from scorehouse.stores.retention import Retention
from scorehouse.stores.store import Document, Key, Store

log = logging.getLogger(__name__)
STATE, LOCK = "shipper.json", "shipper.lock"  # beside the segments; /readyz shows the state
EVERY_SECONDS, LONGEST_WAIT = 0.5, 30.0
REPORT_SECONDS = 5.0  # between two reports of how much is left
# Of each kind of line: the texts, which of them is a time, and the number.
_PREDICTION = ("kind", "prediction_id", "use_case", "model_run_id", "created_at", "door"), "created_at", "prediction"
_OUTCOME = ("kind", "prediction_id", "outcome_at"), "outcome_at", "outcome"
_REJECTED = ("id", "use_case", "model_run_id", "door")
_OPTIONAL = ("use_case", "caller", "sender")  # texts that older doors, and those without a gateway, do not write
MOST, LEAST = 4 * 2**20, 32 * 2**10  # bytes of lines in one call of the store: as usual, and while it is starved
NAMED = 5  # ids in one log line


class Shipper:
    """Follows the segments of every door. A lock allows one shipper per journal folder."""

    def __init__(
        self, folder: Path, store: Store, retention: Retention | None = None, monitor_folder: Path | None = None
    ):
        """Start from the oldest segment; storing lines again changes nothing.

        What `retention` removes from the store is also removed from the challengers' logs in `monitor_folder`.

        Raises:
            AlreadyRunning: another shipper follows this folder.
        """
        self._folder, self._store = folder, store
        self._retention = retention or Retention(0, time.time)
        self._monitor_folder = monitor_folder
        self._known: dict[Path, Segment] = {}
        self._most = MOST
        self._reported = float("-inf")
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / LOCK).open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise AlreadyRunning(
                f"another shipper is already running on {folder}: only one may run per journal folder"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.close()

    def ship(self) -> int:
        """Store the finished lines, delete finished segments, and return how many lines were stored.

        Raises:
            StoreUnavailable: nothing is lost; try again later.
        """
        self._retention.look(self._store)
        found = list(segments(self._folder))
        self._known = {path: self._known.get(path) or Segment(path) for path in found}
        count = 0
        for segment in list(self._known.values()):
            try:
                count += self._ship_segment(segment)
            except FileNotFoundError:  # the writer ended it before the first line
                del self._known[segment.path]
        return count

    def run(self, stop: Event) -> None:
        """Ship until `stop` is set, then once more; while the store is down, wait longer and longer (30 s at most)."""
        poll_forever(self._attempt, "shipping the journal", stop, EVERY_SECONDS, LONGEST_WAIT)
        try:
            self._attempt()
        except StoreUnavailable as error:
            log.warning("%s", error)

    def _ship_segment(self, segment: Segment) -> int:
        """Ship up to the present end of the segment, so that a busy door cannot starve the others."""
        end, count = segment.path.stat().st_size, 0
        while segment.offset < end:
            with hold_journal(self._folder):
                lines, offset = segment.read(self._most)
                if not lines:
                    break
                try:
                    conflicts = store_lines(self._store, lines, self._retention.keeps)
                except StoreUnavailable:  # perhaps it is only too slow for so many lines
                    self._most = max(self._most // 4, LEAST)
                    raise
                self._most = min(self._most + LEAST, MOST)
                if conflicts:
                    self._remember(conflicts)
            segment.done(offset)
            count += len(lines)
            if time.monotonic() - self._reported > REPORT_SECONDS:  # a long backlog takes minutes
                self._report(None)
        if segment.delete_if_finished():
            del self._known[segment.path]
        return count

    def _remember(self, conflicts: Sequence[Key]) -> None:
        """Let doors report them to clients. If the disk is full, only log a warning, because shipping frees space."""
        try:
            add_conflicts(self._folder, conflicts)
        except OSError as error:
            log.warning("the list of conflicting ids cannot be written: %s", error)

    def _attempt(self) -> None:
        try:
            self.ship()
            removed_before = self._retention.apply(self._store)
        except StoreUnavailable as error:
            self._report(str(error))
            raise StoreUnavailable(f"{error}; the journal keeps the unsent lines until the store is back") from error
        if removed_before and self._monitor_folder:
            expire_shadow(self._monitor_folder, removed_before)
        self._report(None)

    def _report(self, problem: str | None) -> None:
        backlog = sum(max(_size(path) - s.offset, 0) for path, s in self._known.items())
        self._reported = time.monotonic()
        metrics.STORE_UP.set(problem is None)
        metrics.BACKLOG.set(backlog)
        write_state(self._folder, {"store": problem or "ok", "backlog_bytes": backlog})


def store_lines(store: Store, lines: Sequence[bytes], wanted: Callable[[Document], bool] = bool) -> list[Key]:
    """Store the journal `lines` that are `wanted`; storing them twice changes nothing.

    Return the keys of predictions that are not stored, because another record has their id. Raises StoreUnavailable.
    """
    conflicts: list[Key] = []
    parsed = [line for line in map(_parsed, lines) if line and wanted(line)]
    predictions = [line for line in parsed if line["kind"] == "prediction"]
    outcomes = [line for line in parsed if line["kind"] == "outcome"]
    if predictions:
        conflicts = store.add(predictions).conflicts
        metrics.CONFLICTS.inc(len(conflicts))
        _warn(conflicts, "prediction ids were sent again with a different record; the first record of each is kept")
    if outcomes:
        contradicted = store.add_outcomes(outcomes)
        metrics.OUTCOME_CONFLICTS.inc(len(contradicted))
        _warn(contradicted, "predictions have outcomes from two senders that differ; both are kept, the latest counts")
    counts = [line for line in parsed if line["kind"] == "rejected"]
    if counts:  # each line has the count of its minute so far
        highest = {line["id"]: line for line in sorted(counts, key=lambda line: int(line["records"]))}
        store.add_rejected(list(highest.values()))
    metrics.SHIPPED.labels("prediction").inc(len(predictions))
    metrics.SHIPPED.labels("outcome").inc(len(outcomes))
    return conflicts


def _warn(keys: Sequence[Key], what: str) -> None:
    """Log one line for all keys of a batch, however many they are."""
    if keys:
        named = [f"{key.use_case}/{key.prediction_id}" for key in keys[:NAMED]]
        log.warning("%d %s", len(keys), what, extra={"about": {"first": named}})


def _parsed(line: bytes) -> Document | None:
    """The document of a line; None for an erased line and, counted, for one that no door wrote."""
    if line.startswith(ERASED):
        return None
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and _whole(document):
        return document
    metrics.UNREADABLE.inc()
    log.error("a journal line is neither a prediction nor an outcome, so it is skipped (%d bytes)", len(line))
    return None


def _whole(line: Document) -> bool:
    if line.get("kind") == "rejected":
        numbers = (line.get("minute"), line.get("records"))
        named = all(isinstance(line.get(name), str) for name in _REJECTED)
        return named and all(type(n) is int for n in numbers) and isinstance(line.get("reasons"), list)
    if not all(line.get(name) is None or isinstance(line[name], str) for name in _OPTIONAL):
        return False
    names, time, value = _PREDICTION if line.get("kind") == "prediction" else _OUTCOME
    if not all(isinstance(line.get(name), str) for name in names) or not _is_value(line.get(value), value):
        return False
    try:
        datetime.fromisoformat(line[time])
    except ValueError:
        return False
    return line["kind"] == "outcome" or (line["kind"] == "prediction" and _is_record(line))


def _is_record(line: Document) -> bool:
    return isinstance(line.get("record"), dict) and isinstance(line.get("test", False), bool)


def _is_value(value: Any, name: str) -> bool:
    """Whether a prediction is a number or a list of chances, or an outcome is a number."""
    if isinstance(value, list) and name == "prediction":
        return bool(value) and all(map(_number, value))
    return _number(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state of the shipper atomically. A full disk only logs a warning: shipping is what empties it."""
    partial = folder / f".{STATE}.{os.getpid()}"
    try:
        partial.write_bytes(orjson.dumps(state))
        partial.replace(folder / STATE)
    except OSError as error:
        log.warning("the shipper's state cannot be written: %s", error)


def read_state(folder: Path) -> dict[str, Any]:
    """Return the last state of this machine's shipper; empty if none has run."""
    try:
        state: dict[str, Any] = orjson.loads((folder / STATE).read_bytes())
    except FileNotFoundError:
        return {}
    return state
