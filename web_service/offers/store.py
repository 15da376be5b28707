"""What the pages keep: customers, attempts to identify as one, and offers. SQLite and MongoDB implement `Store`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address
from typing import Any, Protocol

from scorehouse.errors import StoreUnavailable

LAYOUT = 1  # of both stores; an older one has no number and is laid out in the same way
Document = dict[str, Any]  # a customer: ID as text, Date_birth, Date_driving_licence and the past that is known


@dataclass(frozen=True, slots=True)
class LockRule:
    """From the failure `free` on, a lock of `first` seconds; each further failure doubles it, up to `longest`."""

    free: int
    first: float
    longest: float


# One client's failures for a number lock the number for that client alone, so that nobody locks others out. All clients
# together are slowed down later and for less: guessing a date of birth from many addresses still takes years.
CLIENT_RULE = LockRule(free=5, first=15 * 60.0, longest=24 * 3600.0)
NUMBER_RULE = LockRule(free=50, first=15 * 60.0, longest=3600.0)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often someone failed to identify as a customer, and the Unix time until which the number is locked."""

    failures: int = 0
    locked_until: float = 0.0

    def after_failure(self, now: float, rule: LockRule) -> Attempts:
        """Return the attempts after one more failure."""
        failures = self.failures + 1
        doublings = failures - rule.free
        lock = min(rule.first * 2.0 ** min(doublings, 30), rule.longest) if doublings >= 0 else 0.0
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


def require_known(layout: int) -> None:
    """Raise StoreUnavailable if a store has a layout that is newer than this code."""
    if layout > LAYOUT:
        raise StoreUnavailable(
            f"the customer store has layout {layout}, and this code knows layouts up to {LAYOUT}: "
            "a newer version wrote it; run that version (git pull), or restore a backup that this version made"
        )


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
        """Return the failed attempts under `id_`: a customer's number, who need not exist, or a client's key of it."""

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


def count_attempt(store: Store, id_: str, client: str, now: float) -> float:
    """Count an attempt of `client` to identify as customer `id_`; return the time until which it is locked, or 0.

    The attempt counts as a failure before it is checked, so that a hundred attempts at once count as a hundred.
    `now` is a Unix time, because locks outlive the process and machines share them: if the clock is set back by an
    hour, a lock lasts an hour longer. Raises StoreUnavailable.
    """
    locked_until = store.attempts(id_).locked_until
    if locked_until > now:
        return locked_until
    return _count(store, client_key(id_, client), now, CLIENT_RULE) or _count(store, id_, now, NUMBER_RULE)


def clear_attempts(store: Store, id_: str, client: str) -> None:
    """Forget the failures of `client` and of the number, because the customer was identified."""
    store.clear_attempts(client_key(id_, client))
    store.clear_attempts(id_)


def client_key(id_: str, client: str) -> str:
    """Return the key of a client's attempts for the number `id_`. An IPv6 client is its whole network."""
    try:
        address = ip_address(client)
    except ValueError:
        return f"{id_} {client}"
    return f"{id_} {address if address.version == 4 else IPv6Network((int(address), 64), strict=False)}"


def _count(store: Store, key: str, now: float, rule: LockRule) -> float:
    while True:
        known = store.attempts(key)
        if known.locked_until > now:
            return known.locked_until
        if store.replace_attempts(key, known, known.after_failure(now, rule)):
            return 0.0
