"""What a door rejected, by minute and reason: names of fields and what is wrong with them, never a value."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock, Timer
from time import monotonic

import orjson

from scorehouse.errors import JournalError
from scorehouse.scoring.schema import Rejected

log = logging.getLogger(__name__)

UNNAMED = ("is not a known field",)  # the name is the client's own, so it is not written
MOST_REASONS = 30  # distinct reasons of a minute
OTHER = "other reasons"
SECONDS = 1.0  # between two lines: a client that is refused a thousand times a second writes no more than another


class Rejections:
    """The counts of one process. A line has the counts of its minute so far, so storing it twice changes nothing.

    The first refusal is written at once; all that follow within a second are written as one line at its end. A process
    that is killed loses the counts of at most one second.
    """

    def __init__(self, use_case: str, door: str, write: Callable[[bytes], None]):
        """Count for one door. `write` appends to the journal what `add` put off.

        A random id tells processes apart, because their numbers repeat.
        """
        self._use_case, self._door = use_case, door
        self._source = f"{door}-{os.urandom(8).hex()}"
        self._write = write
        self._lock = Lock()
        self._counted: tuple[int, str] = (0, "")
        self._records, self._reasons = 0, Counter[str]()
        self._written_at = -SECONDS
        self._timer: Timer | None = None

    def add(self, run_id: str, now: datetime, rejected: Sequence[Rejected]) -> bytes:
        """Count `rejected` for the model `run_id`; return the journal lines to write now, if any."""
        counted = (int(now.timestamp() // 60), run_id)
        lines = b""
        with self._lock:
            if counted != self._counted:
                lines = self._pending_line()
                self._counted, self._records, self._reasons = counted, 0, Counter()
            self._records += len(rejected)
            for one in rejected:
                self._count(reasons(one))
            if monotonic() - self._written_at >= SECONDS:
                lines += self._line()
            elif self._timer is None:
                self._timer = Timer(SECONDS, self._flush)  # not a daemon: the process ends once it has written
                self._timer.start()
        return lines

    def _count(self, why: set[str]) -> None:
        full = len(self._reasons) >= MOST_REASONS
        self._reasons.update({reason if not full or reason in self._reasons else OTHER for reason in sorted(why)})

    def _flush(self) -> None:
        with self._lock:
            line = self._pending_line()
        try:
            if line:
                self._write(line)
        except JournalError as error:
            log.warning("counts of rejected records are not written: %s", error)

    def _pending_line(self) -> bytes:
        """The line that a timer was to write, if there is one."""
        if self._timer is None:
            return b""
        self._timer.cancel()
        self._timer = None
        return self._line()

    def _line(self) -> bytes:
        minute, run_id = self._counted
        self._written_at = monotonic()
        line = {
            "kind": "rejected",
            "id": f"{self._source}-{minute}-{run_id}",
            "use_case": self._use_case,
            "model_run_id": run_id,
            "door": self._door,
            "minute": minute,
            "records": self._records,
            "reasons": [{"reason": why, "records": n} for why, n in self._reasons.items()],
        }
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def reasons(rejected: Rejected) -> set[str]:
    """Return the reasons of a record: `credit_limit is missing`, `is not a known field`."""
    return {
        e.problem.partition(":")[0] if not e.field or e.problem in UNNAMED else f"{e.field} {e.problem}"
        for e in rejected.errors
    }
