"""The history of what served: kept by the versions themselves, and the way back through it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from scorehouse.registry.client import Registry, Version
from scorehouse.registry.history import Change, History, rolled_back, way_back

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
A, B, C = (Version(str(i + 1), letter * 32, None) for i, letter in enumerate("abc"))


class FakeRegistry(Registry):
    """Versions with tags, in a dictionary."""

    def __init__(self) -> None:
        super().__init__("http://registry")
        self.tags: dict[Version, dict[str, str]] = {A: {"bundle_digest": "d"}, B: {}}

    def tagged_versions(self, use_case: str) -> Iterator[tuple[Version, dict[str, str]]]:
        yield from self.tags.items()

    def tag_version(self, use_case: str, version: Version, key: str, value: str) -> None:
        self.tags[version][key] = value


def changes(*steps: Version | tuple[Version, str]) -> list[Change]:
    """A history; a version with a word is one that was returned to."""
    return [
        Change(NOON + timedelta(minutes=i), *((s[0], "ada", "", True) if isinstance(s, tuple) else (s, "ada", "")))
        for i, s in enumerate(steps)
    ]


def test_what_was_noted_is_read_back_oldest_first_with_all_that_was_said() -> None:
    registry, times = FakeRegistry(), iter([NOON, NOON - timedelta(hours=1)])
    history = History(registry, "churn", lambda: next(times))
    history.note(A, "ada", 'better, "much"', back=True)
    history.note(B, "github", "RUN_ID=b")
    assert history.changes() == [
        Change(NOON - timedelta(hours=1), B, "github", "RUN_ID=b", False),
        Change(NOON, A, "ada", 'better, "much"', True),
    ]


def test_a_tag_that_somebody_else_wrote_is_no_change() -> None:
    registry = FakeRegistry()
    registry.tags[A] |= {"served.well": "yes", "served.2026-11-21T12:00:00.000000Z": "[]"}
    assert History(registry, "churn").changes() == []


def test_the_way_back_leads_to_what_served_before() -> None:
    assert way_back(changes(A, B), B) == A
    assert way_back(changes(A, B, B), B) == A


def test_each_return_goes_a_step_further_and_never_to_what_was_left() -> None:
    assert way_back(changes(A, B, C, (B, "back")), B) == A
    assert way_back(changes(A, B, C, (B, "back"), (A, "back")), A) is None
    assert way_back(changes(A, B, (A, "back"), C), C) == A


def test_without_a_change_there_is_no_way_back() -> None:
    assert way_back([], A) is None
    assert way_back(changes(A), A) is None


def test_what_was_moved_in_mlflow_and_not_written_down_is_left_for_what_served_before_it() -> None:
    assert way_back(changes(A, B), C) == B


def test_a_run_that_was_left_by_a_return_stays_so_until_it_is_deployed_again() -> None:
    assert rolled_back(changes()) == rolled_back(changes(A)) == rolled_back(changes(A, B)) == set()
    assert rolled_back(changes(A, B, (A, "back"))) == {B.run_id}
    assert rolled_back(changes(A, B, C, (B, "back"), (A, "back"))) == {B.run_id, C.run_id}
    assert rolled_back(changes(A, B, (A, "back"), C)) == {B.run_id}
    assert rolled_back(changes(A, B, (A, "back"), C, B)) == set()
