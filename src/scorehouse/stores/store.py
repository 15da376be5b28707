"""What every prediction store does, and the fields of a stored prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

# prediction_id, use_case, model_run_id, created_at (UTC, ISO 8601), door, record, prediction, customer_id, outcome,
# outcome_at (both null until known). A store adds seq, and outcome_seq with each outcome: both only ever grow.
Document = dict[str, Any]


class Added(NamedTuple):
    """How many were newly stored, and which ids came again with another record (the first is kept)."""

    stored: int
    conflicts: list[str]


class Answered(NamedTuple):
    """How many records one run answered between two times."""

    use_case: str
    run_id: str
    records: int


class Store(Protocol):
    """Stores predictions and outcomes idempotently; they are read in the order in which they were stored."""

    def add(self, predictions: Sequence[Document]) -> Added:
        """Store what is new by prediction_id; join outcomes that came before. Raises StoreUnavailable."""

    def add_outcomes(self, outcomes: Sequence[Document]) -> None:
        """Set outcomes (prediction_id, outcome, outcome_at): the latest counts; one without its prediction waits."""

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        """Return up to `limit` predictions stored after `seq`, oldest first."""

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        """Return up to `limit` predictions whose outcome was set or corrected after `outcome_seq`, oldest first."""

    def waiting_outcomes(self) -> int:
        """Return how many outcomes wait for a prediction that is not stored."""

    def add_rejected(self, counts: Sequence[Document]) -> None:
        """Store what doors rejected: one document per id (door process, minute and run), the highest count of it."""

    def rejected_since(self, use_case: str, minute: int) -> list[Document]:
        """Return the counts of `minute` (Unix time // 60) and later: model_run_id, door, minute, records, reasons."""

    def ids_of_customer(self, customer_id: str) -> list[str]:
        """Return the ids of a customer's predictions, of every use case."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove these predictions, and outcomes that wait for them; ids that are not there change nothing."""

    def forget(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` old predictions, and all old waiting outcomes and counts; return how many."""


def first_of(predictions: Iterable[Document]) -> dict[str, Document]:
    """Return the first prediction of each id, in order, because a batch may repeat ids."""
    first: dict[str, Document] = {}
    for prediction in predictions:
        first.setdefault(prediction["prediction_id"], prediction)
    return first


def conflicts(predictions: Iterable[Document], kept: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the ids that came with another record than the one `kept` under them; 50 and 50.0 are the same."""
    return [p["prediction_id"] for p in predictions if p["record"] != kept[p["prediction_id"]]]


def customer(prediction: Document) -> str | None:
    """Return the customer as text: doors may send 7 or "7", and a table's column with gaps 7.0."""
    id_ = prediction.get("customer_id")
    return None if id_ is None else str(int(id_) if isinstance(id_, float) else id_)
