"""What every prediction store does, and the fields of a stored prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

# prediction_id, use_case, model_run_id, created_at (UTC, ISO 8601), door, record, prediction, customer_id; caller (the
# name of the key that asked, null if unknown) and test (true for a check, which no figure counts); outcome, outcome_at
# and sender (all null until known) and other_outcomes (see `outcomes`). A store adds seq, and outcome_seq with each
# outcome: both only ever grow.
Document = dict[str, Any]


class Key(NamedTuple):
    """What names a prediction. The use case is empty in outcomes of doors before layout 2."""

    use_case: str
    prediction_id: str


class Added(NamedTuple):
    """How many were newly stored, and which keys came again with another record (the first is kept)."""

    stored: int
    conflicts: list[Key]


class Identity(NamedTuple):
    """Which store it is, by an id from its creation, and the highest number that it ever gave a prediction."""

    store_id: str
    last: int


class Ages(NamedTuple):
    """How many predictions are stored, how many of them are from before a time, and when the newest was made."""

    records: int
    old: int
    newest: datetime | None


class Answered(NamedTuple):
    """How many records one run answered between two times."""

    use_case: str
    run_id: str
    records: int


class Store(Protocol):
    """Stores predictions and outcomes idempotently; they are read in the order in which they were stored.

    Every method raises StoreUnavailable where the store cannot be reached, is being migrated, or is too new.
    """

    def add(self, predictions: Sequence[Document]) -> Added:
        """Store what is new by key; join outcomes that came before."""

    def add_outcomes(self, outcomes: Sequence[Document]) -> list[Key]:
        """Set outcomes (use_case, prediction_id, outcome, outcome_at, sender): one without its prediction waits.

        The latest counts, and the last one of each other sender is kept beside it. An outcome without a use case joins
        the prediction of that id if exactly one use case has it. Return the keys about which two senders now disagree.
        """

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        """Return up to `limit` predictions stored after `seq`, oldest first; no test records."""

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        """Return up to `limit` predictions whose outcome was set or corrected after `outcome_seq`, oldest first.

        Test records are left out.
        """

    def waiting_outcomes(self) -> int:
        """Return how many outcomes wait for a prediction that is not stored."""

    def add_rejected(self, counts: Sequence[Document]) -> None:
        """Store what doors rejected: one document per id (door process, minute and run), the highest count of it."""

    def rejected_since(self, use_case: str, minute: int) -> list[Document]:
        """Return the counts of `minute` (Unix time // 60) and later: model_run_id, door, minute, records, reasons."""

    def keys_of_customer(self, customer_id: str) -> list[Key]:
        """Return the keys of a customer's predictions, of every use case."""

    def remove(self, keys: Sequence[Key]) -> None:
        """Remove these predictions, and outcomes that wait for them; keys that are not there change nothing."""

    def forget(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` old predictions, and all old waiting outcomes and counts; return how many."""

    def drop_waiting(self, before: datetime, most: int) -> int:
        """Remove waiting outcomes from before a time, and all but the newest `most` of each sender; return how many."""

    def ages(self, before: datetime) -> Ages:
        """Return how old the predictions are. It may read all of them."""

    def retained_at(self) -> float | None:
        """Return when retention last took a step (Unix seconds), or None."""

    def set_retained_at(self, at: float) -> None:
        """Remember when retention took a step."""

    def identity(self) -> Identity:
        """Return which store it is."""


def key_of(line: Mapping[str, Any]) -> Key:
    """Return the key of a prediction, or the one that an outcome names."""
    return Key(line.get("use_case") or "", line["prediction_id"])


def first_of(predictions: Iterable[Document]) -> dict[Key, Document]:
    """Return the first prediction of each key, in order, because a batch may repeat keys."""
    first: dict[Key, Document] = {}
    for prediction in predictions:
        first.setdefault(key_of(prediction), prediction)
    return first


def conflicts(predictions: Iterable[Document], kept: Mapping[Key, Mapping[str, Any]]) -> list[Key]:
    """Return the keys that came with another record than the one `kept` under them; 50 and 50.0 are the same."""
    return [key_of(p) for p in predictions if p["record"] != kept[key_of(p)]]


def customer(prediction: Document) -> str | None:
    """Return the customer as text: doors may send 7 or "7", and a table's column with gaps 7.0."""
    id_ = prediction.get("customer_id")
    return None if id_ is None else str(int(id_) if isinstance(id_, float) else id_)
