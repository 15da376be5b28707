"""What a door rejected, by minute and reason: names of fields and what is wrong with them, never a value."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from threading import Lock

import orjson

from scorehouse.scoring.schema import Rejected

UNNAMED = ("is not a known field",)  # the name is the client's own, so it is not written


class Rejections:
    """The counts of one process. A line has the counts of its minute so far, so storing it twice changes nothing."""

    def __init__(self, use_case: str, door: str):
        """Count for one door. A random id tells processes apart, because their numbers repeat."""
        self._use_case, self._door = use_case, door
        self._source = f"{door}-{os.urandom(8).hex()}"
        self._lock = Lock()
        self._counted: tuple[int, str] = (0, "")
        self._records, self._reasons = 0, Counter[str]()

    def line(self, run_id: str, now: datetime, rejected: Sequence[Rejected]) -> bytes:
        """Return the journal line of the minute, with `rejected` counted for the model `run_id`."""
        counted = (int(now.timestamp() // 60), run_id)
        with self._lock:
            if counted != self._counted:
                self._counted, self._records, self._reasons = counted, 0, Counter()
            self._records += len(rejected)
            for one in rejected:
                self._reasons.update(reasons(one))
            line = {
                "kind": "rejected",
                "id": f"{self._source}-{counted[0]}-{run_id}",
                "use_case": self._use_case,
                "model_run_id": run_id,
                "door": self._door,
                "minute": counted[0],
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
