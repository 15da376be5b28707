"""What the pages keep: customers, attempts to identify as one, and offers. SQLite and MongoDB implement `Store`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Document = dict[str, Any]  # a customer: ID as text, Date_birth, Date_driving_licence and the past that is known
FREE_ATTEMPTS = 5
FIRST_LOCK = 15 * 60.0  # seconds
LONGEST_LOCK = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often someone failed to identify as a customer, and the Unix time until which the number is locked."""

    failures: int = 0
    locked_until: float = 0.0

    def after_failure(self, now: float) -> Attempts:
        """Return the attempts after one more failure.

        The fifth failure locks the number for 15 minutes, and each further one for twice as long, a day at most.
        """
        failures = self.failures + 1
        doublings = failures - FREE_ATTEMPTS
        lock = min(FIRST_LOCK * 2.0 ** min(doublings, 30), LONGEST_LOCK) if doublings >= 0 else 0.0
        return Attempts(failures, now + lock)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a visitor asked for, and the answer: a premium, or why there is none. Times are Unix times."""

    prediction_id: str
    visitor: str
    asked_at: float
    record: Document  # as it is sent, customer_id included
    sent_at: float | None = None
    answered_at: float | None = None
    premium: float | None = None
    refused: str = ""


class Store(Protocol):
    """Every method raises StoreUnavailable if the store cannot be reached; any thread may call it."""

    def customer(self, id_: str) -> Document | None:
        """Return a customer's record."""

    def add_customers(self, customers: Sequence[Document]) -> None:
        """Store customers; each replaces the one with the same ID."""

    def has_customers(self, made_up: bool) -> bool:
        """Say whether the store holds sample customers (`made_up`), or real ones."""

    def remove_made_up(self) -> None:
        """Remove every sample customer."""

    def made_up_customer(self) -> Document | None:
        """Return a sample customer that a visitor can try the pages with."""

    def attempts(self, id_: str) -> Attempts:
        """Return the failed attempts to identify as the customer `id_`, who need not exist."""

    def replace_attempts(self, id_: str, known: Attempts, new: Attempts) -> bool:
        """Replace `known` by `new`; return False if another attempt was counted in between."""

    def clear_attempts(self, id_: str) -> None:
        """Forget the attempts, because the customer was identified."""

    def add_offer(self, offer: Offer) -> None:
        """Store a new offer."""

    def offers_of(self, visitor: str) -> list[Offer]:
        """Return a visitor's offers, the newest first."""

    def unanswered(self) -> list[Offer]:
        """Return all offers without an answer, the oldest first."""

    def mark_sent(self, ids: Sequence[str], at: float) -> None:
        """Note that the stream took these offers."""

    def set_answer(self, prediction_id: str, premium: float | None, refused: str, at: float) -> None:
        """Note the first answer to an offer; later answers, and answers to unknown offers, change nothing."""

    def forget(self, before: float) -> None:
        """Remove the offers that were asked for, and the attempts whose lock ended, before a time."""

    def close(self) -> None:
        """Close the file or the connections."""


def count_attempt(store: Store, id_: str, now: float) -> float:
    """Count an attempt to identify as customer `id_`; return the time until which the number is locked, or 0.

    The attempt counts as a failure before it is checked, so that a hundred attempts at once count as a hundred.
    `now` is a Unix time, because locks outlive the process and machines share them: if the clock is set back by an
    hour, a lock lasts an hour longer. Raises StoreUnavailable.
    """
    while True:
        known = store.attempts(id_)
        if known.locked_until > now:
            return known.locked_until
        if store.replace_attempts(id_, known, known.after_failure(now)):
            return 0.0
