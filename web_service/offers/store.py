"""What the pages keep: customers, tries to be one, and offers; in MongoDB or else in a SQLite file of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

Document = dict[str, Any]  # a customer: ID as text, Date_birth, Date_driving_licence and what the house knows
FREE_TRIES = 5
FIRST_LOCK, LONGEST_LOCK = 15 * 60.0, 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Tries:
    """How often somebody failed to be a customer, and until when (Unix time) nobody could or can try again."""

    failures: int = 0
    locked_until: float = 0.0

    def one_more(self, now: float) -> Tries:
        """Return the tries after a failure: the fifth locks for a quarter of an hour, each later one twice as long."""
        failures, over = self.failures + 1, self.failures + 1 - FREE_TRIES
        return Tries(failures, now + min(FIRST_LOCK * 2.0 ** min(over, 30), LONGEST_LOCK) if over >= 0 else now)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a visitor asked, and its answer: a premium, or why there is none; times are Unix times."""

    prediction_id: str
    visitor: str
    asked_at: float
    record: Document  # as it is sent, customer_id included
    sent_at: float | None = None
    answered_at: float | None = None
    premium: float | None = None
    refused: str = ""

    def answered(self, premium: float | None, refused: str, at: float) -> Offer:
        """Return the offer with its answer."""
        return replace(self, premium=premium, refused=refused, answered_at=at)


class Store(Protocol):
    """Every method raises StoreUnavailable where the store does not answer; any thread may call it."""

    def customer(self, id_: str) -> Document | None:
        """Return a customer's record."""

    def add_customers(self, customers: Sequence[Document]) -> None:
        """Store customers, each in place of the one with its ID."""

    def has_customers(self, made_up: bool) -> bool:
        """Say whether there are customers that are made up, or real ones."""

    def remove_made_up(self) -> None:
        """Remove every made-up customer."""

    def made_up_customer(self) -> Document | None:
        """Return a made-up customer, for who wants to try the pages."""

    def tries(self, id_: str) -> Tries:
        """Return what is known of tries to be the customer `id_`, whom there need not be."""

    def set_tries(self, id_: str, known: Tries, now: Tries) -> bool:
        """Replace what is `known` of tries; false where somebody else was quicker."""

    def clear_tries(self, id_: str) -> None:
        """Forget the tries: the customer was who they said."""

    def add_offer(self, offer: Offer) -> None:
        """Store a new offer."""

    def offers_of(self, visitor: str) -> list[Offer]:
        """Return a visitor's offers, the newest first."""

    def unanswered(self) -> list[Offer]:
        """Return all offers without an answer, the oldest first."""

    def mark_sent(self, ids: Sequence[str], at: float) -> None:
        """Note that the stream took these."""

    def set_answer(self, prediction_id: str, premium: float | None, refused: str, at: float) -> None:
        """Note the answer of an offer that has none; nobody's offer changes nothing."""

    def forget(self, before: float) -> None:
        """Remove offers asked, and tries whose lock ended, before a time."""

    def close(self) -> None:
        """Let go of file or connections."""


def take_try(store: Store, id_: str, now: float) -> float:
    """Count a try to be customer `id_` before it is judged; return until when it may not be made, or 0.

    It is counted first, so that a hundred tries at once are a hundred tries. Raises StoreUnavailable.
    """
    while True:
        known = store.tries(id_)
        if known.locked_until > now:
            return known.locked_until
        if store.set_tries(id_, known, known.one_more(now)):
            return 0.0
