"""The ids that clients chose lately, and their records: a second record with the same id would not be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scorehouse.scoring.schema import FieldError, Rejected

MOST = 65_536  # ids that a process remembers: about 14 MB
ALREADY_USED = "was used for another record"


class RecentIds:
    """The ids of the last records of one process, in two halves: the older half is dropped as a whole.

    What another process or an earlier one answered is not known here: the shipper finds such conflicts later.
    """

    def __init__(self) -> None:
        """Know none yet."""
        self._newer: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def claim(self, id_: str, record: Mapping[str, Any]) -> bool:
        """Give this id to `record`; return False if another record has it already.

        50 and 50.0 are the same, as in the store. Only a hash of the record is kept.
        """
        content = hash(frozenset(record.items()))
        known = self._newer.get(id_) or self._older.get(id_)
        if known is None:
            if len(self._newer) >= MOST // 2:
                self._older, self._newer = self._newer, {}
            self._newer[id_] = content
        return known is None or known == content

    def discard(self, ids: Iterable[str]) -> None:
        """Forget ids whose records were not kept after all."""
        for id_ in ids:
            self._newer.pop(id_, None)
            self._older.pop(id_, None)


def conflict(id_: str) -> Rejected:
    """Return the refusal of a record whose id is another record's."""
    allowed = "a new id for a new record, or the same record again"
    return Rejected((FieldError("prediction_id", id_, ALREADY_USED, allowed),))


def is_conflict(rejected: Rejected) -> bool:
    """Return whether a record is refused because of its id alone."""
    return rejected.errors[0].problem == ALREADY_USED
