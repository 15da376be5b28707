"""What was asked goes to the stream, and answers come back; the store keeps both until that is done."""

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
SKEW_SECONDS = 60.0  # the stream's clock may be so far behind this one
AGAIN_SECONDS = 12 * 3600.0  # a record is sent again before the stream forgets it, after a day
SOON, LATER, IDLE = 0.25, 1.0, 5.0  # between two reads: somebody has just asked; is late to be answered; nobody waits
PATIENCE_SECONDS, CLEAN_SECONDS = 30.0, 3600.0
_ID = re.compile(rb'"prediction_id"\s*:\s*"(web-[0-9a-f]{32})"')


class Exchange:
    """The only one that knows the stream; a thread of its own calls `step`."""

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
        """`streams` are input, results and errors; `answer` is the key of the premium; `clock` is Unix time."""
        self._store, self._client, self._answer, self._clock = store, client, answer, clock
        self._input, self._results, self._errors = streams
        self._keep, self._backoff = keep_seconds, Backoff(random, first=0.5, longest=5.0)
        self._tail: Tail | None = None
        self._wake, self._cleaned = Event(), 0.0
        self.problem: str | None = None

    def follow(self, stop: Event) -> None:
        """Exchange in a thread of its own until `stop`."""

        def loop() -> None:
            while not stop.is_set():
                wait = self.try_step()
                if self._wake.wait(wait):
                    self._wake.clear()

        Thread(target=loop, name="exchange", daemon=True).start()

    def ask(self, offer: Offer) -> None:
        """Keep the offer, from now on for sure, and have it sent. Raises StoreUnavailable."""
        self._store.add_offer(offer)
        self._wake.set()

    def try_step(self) -> float:
        """Do a step; return the seconds until the next, longer and longer while stream or store is down."""
        try:
            wait = self.step()
        except (*FAULTS, StoreUnavailable) as error:
            self._say(f"waiting: {error if isinstance(error, StoreUnavailable) else code_of(error)}")
            self._tail = None
            return self._backoff.next()
        except Exception:  # the thread must live: whoever asked waits for it
            log.exception("a step of the exchange failed")
            self._tail = None
            return self._backoff.next()
        self._say(None)
        self._backoff.reset()
        return wait

    def step(self) -> float:
        """Send what is due, read what came, forget what is old; return the seconds until the next step."""
        now = self._clock()
        if now - self._cleaned > CLEAN_SECONDS:
            self._store.forget(now - self._keep)
            self._cleaned = now
        waiting = self._store.unanswered()
        if not waiting:
            self._tail = None
            return IDLE
        since = min(offer.sent_at or now for offer in waiting)
        if self._tail is None:
            start = datetime.fromtimestamp(since - SKEW_SECONDS, UTC)
            self._tail = Tail(self._client, (self._results, self._errors), start)
        due = [o for o in waiting if o.sent_at is None or o.sent_at < now - AGAIN_SECONDS]
        self._send(due[:MOST_ENTRIES], now)
        self._read({offer.prediction_id for offer in waiting})
        return SOON if now - waiting[-1].asked_at < PATIENCE_SECONDS else LATER

    def _send(self, due: Sequence[Offer], now: float) -> None:
        if not due:
            return
        entries = [
            {"Data": orjson.dumps({**o.record, "prediction_id": o.prediction_id}), "PartitionKey": o.prediction_id}
            for o in due
        ]
        answer = self._client.put_records(StreamName=self._input, Records=entries)
        taken = [o.prediction_id for o, a in zip(due, answer["Records"], strict=True) if not a.get("ErrorCode")]
        self._store.mark_sent(taken, now)  # the others are due again in the next step

    def _read(self, waiting: set[str]) -> None:
        assert self._tail is not None  # noqa: S101 - for mypy: step has made it
        for stream, data in self._tail.read():
            try:
                id_, premium, refused = self._told(data, stream == self._errors)
            except (ValueError, KeyError, TypeError):  # no answer of ours
                continue
            if id_ in waiting:
                self._store.set_answer(id_, premium, refused, self._clock())

    def _told(self, data: bytes, refused: bool) -> tuple[str, float | None, str]:
        """The id, the premium and the reason in what a stream holds; an id that is not ours is empty."""
        about = orjson.loads(data) if refused or PREFIX.encode() in data else {}
        found = _ID.search(b64decode(about["data"]) if refused else data)
        if found is None:
            return "", None, ""
        id_ = found[1].decode()
        if not refused:
            return id_, float(about[self._answer]), ""
        log.warning("the offer %s cannot be priced: %s", id_, about["reason"])
        return id_, None, str(about["reason"])

    def _say(self, problem: str | None) -> None:
        if problem != self.problem:
            log.log(logging.WARNING if problem else logging.INFO, problem or "the stream and the store answer")
        self.problem = problem
