"""Counts what was sent and what happened to it, and sums it up at the end."""

from __future__ import annotations

from collections import Counter
from random import Random
from threading import Lock

from rich.table import Table

KEPT = 20_000  # waiting times: a random sample of all, so that a simulator can run for weeks


class Tally:
    """Counts by name (sent, answered, rejected, failed, …) and waiting times in seconds. Threads may share it."""

    def __init__(self, random: Random):
        """Count from zero."""
        self._random = random
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._waits: list[float] = []
        self._waited = 0
        self._slowest = 0.0

    def __getitem__(self, name: str) -> int:
        """Return a count, 0 if nothing was counted."""
        return self._counts[name]

    def add(self, name: str, number: int = 1) -> None:
        """Add `number` to the count `name`."""
        with self._lock:
            if number:
                self._counts[name] += number

    def add_wait(self, seconds: float) -> None:
        """Remember how long one answer took. Waits beyond KEPT are sampled by Vitter's algorithm R."""
        with self._lock:
            self._waited += 1
            self._slowest = max(self._slowest, seconds)
            if len(self._waits) < KEPT:
                self._waits.append(seconds)
            elif (slot := self._random.randrange(self._waited)) < KEPT:
                self._waits[slot] = seconds

    def quantile(self, share: float) -> float | None:
        """Return the waiting time in seconds that `share` of the answers did not exceed, or None without answers."""
        with self._lock:
            ordered = sorted(self._waits)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None

    def to_line(self) -> str:
        """Return the counts in one line."""
        names = ["answered", "rejected", "failed", "outcomes sent"]
        return ", ".join(f"{self[name]:,} {name}" for name in names if self[name] or name == "answered")

    def to_json(self, seconds: float) -> dict[str, float | None]:
        """Return the summary for programs: counts, and waiting times in milliseconds."""
        waits = {"p50": self.quantile(0.5), "p99": self.quantile(0.99), "slowest": self._slowest or None}
        counts = dict.fromkeys(("sent", "answered", "rejected", "failed", "outcomes sent"), 0) | self._counts
        return {**counts, "seconds": seconds, **{f"{k}_ms": w and w * 1000 for k, w in waits.items()}}

    def to_table(self, title: str, seconds: float) -> Table:
        """Return the summary for people."""
        table = Table(title=title, show_header=False, title_justify="left", min_width=44)
        table.add_column(style="bold")
        table.add_column(justify="right")
        sent = self["sent"]
        table.add_row("sent", f"{sent:,} in {seconds:,.1f} s ({sent / max(seconds, 1e-9):,.0f} a second)")
        for name in ("answered", "rejected", "failed"):
            table.add_row(name, f"{self[name]:,}")
        for name in sorted(set(self._counts) - {"sent", "answered", "rejected", "failed"}):
            table.add_row(name, f"{self[name]:,}")
        for name, wait in (("p50", self.quantile(0.5)), ("p99", self.quantile(0.99))):
            table.add_row(name, "-" if wait is None else f"{wait * 1000:,.1f} ms")
        table.add_row("slowest", f"{self._slowest * 1000:,.1f} ms" if self._waited else "-")
        return table
