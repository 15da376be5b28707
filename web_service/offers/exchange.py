"""Sends offers to the stream to be priced, and reads the answers; the store keeps both."""

from __future__ import annotations

import logging
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import orjson

from scorehouse.errors import StoreUnavailable
from scorehouse.streams.publisher import FAULTS, MOST_ENTRIES, Backoff, code_of
from scorehouse.streams.tail import Tail
from web_service.offers.store import Offer, Store

log = logging.getLogger(__name__)
PREFIX = "web-"
SKEW_SECONDS = 60.0  # the stream's clock may be this far behind ours
RESEND_SECONDS = 12 * 3600.0  # the stream keeps a record for a day
# Seconds between two reads of the stream:
POLL_SOON = 0.25  # someone has just asked for an offer
POLL_LATE = 1.0  # the newest offer has waited for longer than LATE_SECONDS
POLL_IDLE = 5.0  # no offer is waiting
LATE_SECONDS = 30.0
CLEANUP_SECONDS = 3600.0
_ID = re.compile(rb'"prediction_id"\s*:\s*"(web-[0-9a-f]{32})"')


class Exchange:
    """Exchanges records with the stream, one `step` at a time, in a thread."""

    def __init__(
        self,
        store: Store,
        client: Any,
        streams: tuple[str, str, str],
        answer: str,
        keep_seconds: float,
        clock: Callable[[], float],
        random: Callable[[], float],
    ):
        """`streams` are input, results and errors; `answer` is the key of the premium; `clock` returns Unix time."""
        self._store = store
        self._client = client
        self._input, self._results, self._errors = streams
        self._answer = answer
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._backoff = Backoff(random, first=0.5, longest=5.0)
        self._tail: Tail | None = None
        self._wake = Event()
        self._cleaned_at = 0.0
        self.problem: str | None = None

    def start(self, stop: Event) -> None:
        """Exchange in a daemon thread until `stop` is set."""

        def loop() -> None:
            while not stop.is_set():
                wait = self.try_step()
                if self._wake.wait(wait):
                    self._wake.clear()

        Thread(target=loop, name="exchange", daemon=True).start()

    def submit(self, offer: Offer) -> None:
        """Store the offer durably, and send it soon. Raises StoreUnavailable."""
        self._store.add_offer(offer)
        self._wake.set()

    def try_step(self) -> float:
        """Make one step; return the seconds until the next, which grow while the stream or the store is down."""
        try:
            wait = self.step()
        except (*FAULTS, StoreUnavailable) as error:
            self._report(f"waiting: {error if isinstance(error, StoreUnavailable) else code_of(error)}")
            self._tail = None
            return self._backoff.next()
        except Exception:  # visitors wait for this thread, so no error may end it
            log.exception("a step of the exchange failed")
            self._tail = None
            return self._backoff.next()
        self._report(None)
        self._backoff.reset()
        return wait

    def step(self) -> float:
        """Send what is due, read the answers, remove what is old; return the seconds until the next step."""
        now = self._clock()
        if now - self._cleaned_at > CLEANUP_SECONDS:
            self._store.forget(now - self._keep_seconds)
            self._cleaned_at = now
        waiting = self._store.unanswered()
        if not waiting:
            self._tail = None
            return POLL_IDLE
        since = min(offer.sent_at or now for offer in waiting)
        if self._tail is None:
            start = datetime.fromtimestamp(since - SKEW_SECONDS, UTC)
            self._tail = Tail(self._client, (self._results, self._errors), start)
        due = [o for o in waiting if o.sent_at is None or o.sent_at < now - RESEND_SECONDS]
        self._send(due[:MOST_ENTRIES], now)
        self._read({offer.prediction_id for offer in waiting})
        return POLL_SOON if now - waiting[-1].asked_at < LATE_SECONDS else POLL_LATE

    def _send(self, due: Sequence[Offer], now: float) -> None:
        if not due:
            return
        entries = [
            {"Data": orjson.dumps({**o.record, "prediction_id": o.prediction_id}), "PartitionKey": o.prediction_id}
            for o in due
        ]
        reply = self._client.put_records(StreamName=self._input, Records=entries)
        taken = [o.prediction_id for o, a in zip(due, reply["Records"], strict=True) if not a.get("ErrorCode")]
        self._store.mark_sent(taken, now)  # the others are due again at the next step

    def _read(self, waiting: set[str]) -> None:
        assert self._tail is not None  # noqa: S101 - for mypy: `step` has set it
        for stream, data in self._tail.read():
            try:
                id_, premium, refused = self._parse(data, stream == self._errors)
            except (ValueError, KeyError, TypeError):  # not an answer to one of our offers
                continue
            if id_ in waiting:
                self._store.set_answer(id_, premium, refused, self._clock())

    def _parse(self, data: bytes, refused: bool) -> tuple[str, float | None, str]:
        """Return the id, the premium and the reason of a refusal; the id is empty if the record is not ours."""
        content = orjson.loads(data) if refused or PREFIX.encode() in data else {}
        match = _ID.search(b64decode(content["data"]) if refused else data)
        if match is None:
            return "", None, ""
        id_ = match[1].decode()
        if not refused:
            return id_, float(content[self._answer]), ""
        log.warning("the offer %s cannot be priced: %s", id_, content["reason"])
        return id_, None, str(content["reason"])

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            log.log(
                logging.WARNING if problem else logging.INFO, problem or "the stream and the store are responding again"
            )
        self.problem = problem
