"""How fast is sent, what is counted, and what a person sees of it."""

from __future__ import annotations

from io import StringIO
from random import Random

import pytest
from rich.console import Console

from simulation_business.traffic.pace import Pace
from simulation_business.traffic.progress import progress
from simulation_business.traffic.tally import KEPT, Tally


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_records_are_sent_at_the_rate_whatever_the_steps_of_the_clock():
    clock = Clock()
    pace, sent = Pace(50, clock), 0
    for step in (0.001, 0.1, 0.0137, 0.25) * 40:
        clock.now += step
        sent += pace.take(500)
    assert sent == pytest.approx(1 + 50 * clock.now, abs=1)


def test_a_slow_scorer_gets_no_burst_afterwards():
    clock = Clock()
    pace = Pace(100, clock)
    pace.take(1)
    clock.now += 3600
    assert pace.take(10**6) == 100


def test_a_slow_rate_sends_its_first_record_at_once_and_says_when_the_next_is_due():
    clock = Clock()
    pace = Pace(0.1, clock)
    assert [pace.take(10), pace.take(10)] == [1, 0]
    assert pace.wait() == pytest.approx(10)
    clock.now += 4
    assert pace.wait() == pytest.approx(6)


def test_quantiles_are_those_of_the_answers_and_the_slowest_is_never_lost():
    tally = Tally(Random(1))
    tally.add_wait(9.5)
    for n in range(3 * KEPT):
        tally.add_wait(n / (3 * KEPT))
    assert tally.quantile(0.5) == pytest.approx(0.5, abs=0.02)
    assert tally.quantile(0.99) == pytest.approx(0.99, abs=0.01)
    assert "9,500.0 ms" in _printed(tally.to_table("t", 1))


def test_the_summary_says_what_became_of_every_record():
    tally = Tally(Random(1))
    tally.add("sent", 30)
    tally.add("answered", 20)
    tally.add("rejected", 7)
    tally.add("failed", 3)
    tally.add("outcomes sent", 19)
    text = _printed(tally.to_table("traffic", 10))
    for line in ("30 in 10.0 s (3 a second)", "answered 20", "rejected 7", "failed 3", "outcomes sent 19"):
        assert line in " ".join(text.replace("│", " ").split())


def test_without_a_terminal_a_line_is_printed_every_ten_seconds():
    clock, out, tally = Clock(), StringIO(), Tally(Random(1))
    with progress(Console(file=out), "traffic", 60, tally, clock) as show:
        for second in range(31):
            clock.now = float(second)
            tally.add("sent")
            show()
    assert out.getvalue().splitlines() == [f"traffic: {n} of 60 sent, 0 answered" for n in (11, 21, 31)]


def test_a_person_sees_a_bar():
    out, tally = StringIO(), Tally(Random(1))
    with progress(Console(file=out, force_terminal=True, width=120), "traffic", 4, tally, Clock()) as show:
        tally.add("sent", 4)
        show()
    assert "4/4" in out.getvalue()


def _printed(table: object) -> str:
    out = StringIO()
    Console(file=out, width=100).print(table)
    return out.getvalue()
