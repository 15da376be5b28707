"""Since when a column drifts, and the verdict in words; all without Evidently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE
from reporting.comparison import Comparison, compare, slices
from reporting.document import headline, notices
from scorehouse.stores.store import Answered, Document
from tests.unit.monitoring.house import NOON, RUN, USE_CASE, bundle, documents, records

BUNDLE = bundle()


def compared(documents: Sequence[Document]) -> Comparison:
    found = compare(documents, BUNDLE, USE_CASE)
    assert found is not None
    return found


def traffic(*parts: tuple[int, float]) -> list[Document]:
    """So many records with so much drift, one part after the other, a second apart."""
    parts_of_records = [r for seed, (count, drift) in enumerate(parts, 2) for r in records(count, seed, drift)]
    return documents(parts_of_records)


def test_slices_are_the_monitors_windows_counted_back_from_the_newest_record() -> None:
    assert list(slices(199, DEFAULT_RULE)) == []
    assert list(slices(330, DEFAULT_RULE)) == [(0, 205), (0, 330)]
    assert list(slices(700, DEFAULT_RULE)) == [(0, 200), (0, 325), (0, 450), (75, 575), (200, 700)]


def test_a_quiet_window_says_that_nothing_drifts() -> None:
    found = compared(traffic((900, 0)))
    assert headline(found) == ("quiet", "Nothing drifts")
    assert found.episodes == {}


def test_lasting_drift_is_reported_since_the_first_slice_that_showed_it() -> None:
    found = compared(traffic((900, 0), (600, 1)))
    assert headline(found) == ("drifts", "1 of 5 columns drifts")
    episode = found.episodes["limit"]
    assert 900 < episode.since - NOON <= 1300
    assert (episode.from_start, episode.ended) == (False, None)


def test_drift_from_the_beginning_is_reported_as_such() -> None:
    assert compared(traffic((700, 1))).episodes["limit"].from_start


def test_drift_that_has_passed_is_reported_with_its_end() -> None:
    found = compared(traffic((2000, 0), (300, 1), (1200, 0)))
    assert headline(found) == ("drifted", "1 of 5 columns drifted, but no longer does")
    ended = found.episodes["limit"].ended
    assert ended is not None and 2300 < ended - NOON < 3000


def test_what_the_whole_window_shows_drifts_though_its_newest_slice_is_quiet() -> None:
    found = compared(traffic((2000, 1), (600, 0)))
    assert found.drifting == ("limit",) and found.drifted == ()


def test_too_few_records_give_no_verdict_however_strange_they_are() -> None:
    found = compared(traffic((199, 1)))
    assert headline(found) == ("early", "Too early to say")
    assert found.drifting == ()


def test_records_with_other_fields_are_left_out_with_a_notice() -> None:
    strange: list[dict[str, Any]] = [{**d, "record": {"limit": "much"}} for d in traffic((2, 0))]
    found = compared(strange + traffic((300, 0)))
    said = notices(Answered("house", RUN, 302), found)
    assert said == ["2 records were left out because their fields do not match this run."]
    assert compare(strange, BUNDLE, USE_CASE) is None


def test_a_notice_says_that_only_the_newest_records_are_compared() -> None:
    said = notices(Answered("house", RUN, 12_345), compared(traffic((300, 0))))
    assert said == ["The newest 300 of 12,345 records are compared."]
