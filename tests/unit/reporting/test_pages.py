"""The text of the index, the folder that is served, and the server for machines without Nginx."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from reporting.__main__ import summary
from reporting.document import Span, empty_document, refused_document, report_document
from reporting.folder import ReportFolder
from reporting.pages import drift_period, render_index
from reporting.reporter import Reporter
from reporting.serve import create_app
from scorehouse.stores.store import Answered
from tests.unit.monitoring.house import RUN
from tests.unit.reporting.test_comparison import compared, traffic

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MORNING = Span(NOON - timedelta(minutes=180), NOON)
MARKUP = "<script>alert(1)</script>"


def drifting() -> dict[str, Any]:
    quality = {"records": 40, "figures": {"auc": 0.71}, "at_training": {"auc": 0.8}}
    run = Answered("house", RUN, 1500)
    comparison = compared(traffic((900, 0), (600, 1)))
    return report_document(run, MORNING, NOON, comparison, quality) | {"evidently": {"drift": []}}


def shown(reports: list[dict[str, Any]]) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render_index(reports, {}).partition("</style>")[2]))


def test_the_index_shows_what_drifts_by_how_much_since_when_and_the_quality() -> None:
    text = shown([drifting()])
    assert "1 of 5 columns drifts" in text and "house" in text
    assert "09:00 to 12:00 UTC, 1,500 records by run aaaaaaaa" in text
    assert re.search(r"limit moved by 0\.\d\d, since 21 Nov 12:\d\d", text)
    assert "AUC 0.71 (40 outcomes)" in text
    assert "Evidently: drift" in text


def test_nothing_to_report_is_one_line_unless_records_arrived_late() -> None:
    nothing = empty_document(MORNING, NOON)
    assert "09:00 to 12:00 UTC: nothing to report, because no records were scored in this window." in shown([nothing])
    assert "nothing to report" not in shown([drifting(), nothing])
    assert "There are no reports yet." in shown([])


def test_a_report_that_cannot_be_compared_says_why_without_markup() -> None:
    html = render_index([refused_document(Answered("house", RUN, 3), MORNING, NOON, MARKUP)], {})
    assert "Cannot be compared" in html and "3 records" in html
    assert MARKUP not in html and "&lt;script&gt;" in html


def test_a_summary_is_one_line() -> None:
    assert summary(drifting()) == "09:00 to 12:00 UTC: house, run aaaaaaaa, 1,500 records: 1 of 5 columns drifts"
    assert (
        summary(empty_document(MORNING, NOON))
        == "09:00 to 12:00 UTC: nothing to report, because no records were scored in this window"
    )
    gone = refused_document(Answered("house", RUN, 3), MORNING, NOON, "no run a")
    assert summary(gone) == "09:00 to 12:00 UTC: house, run aaaaaaaa, 3 records: cannot be compared: no run a"


def test_a_window_ends_at_a_whole_minute_of_utc() -> None:
    nothing: Any = None
    reporter = Reporter(nothing, nothing, nothing, {}, 5000, clock=lambda: NOON.timestamp() - 59)
    assert reporter.span(180) == MORNING  # answers of this minute are included
    assert reporter.span(180, datetime(2026, 11, 21, 12, 0, 30)) == MORNING  # noqa: DTZ001 - as a person gives it
    assert reporter.span(180, datetime.fromisoformat("2026-11-21T13:00+01:00")) == MORNING
    assert MORNING.name == "20261121T1200Z-180min"


@pytest.mark.parametrize(
    ("since", "from_start", "ended", "words"),
    [
        (None, False, None, "over the window as a whole, but in no part of it"),
        ("2026-11-21T10:05:00+00:00", False, None, "since 21 Nov 10:05"),
        ("2026-11-21T09:05:00+00:00", True, None, "since the window's beginning or before"),
        ("2026-11-21T10:05:00+00:00", False, "2026-11-21T11:00:00+00:00", "since 21 Nov 10:05, until 21 Nov 11:00"),
    ],
)
def test_since_when_a_column_drifts(since: str | None, from_start: bool, ended: str | None, words: str) -> None:
    assert drift_period({"since": since, "from_start": from_start, "ended": ended}) == words


def test_old_pages_go_by_the_time_in_their_names_and_nothing_else_does(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    for name in (
        "house/20261101T1200Z-180min-a",
        "house/20261101T1200Z-180min-a-drift",
        "house/20261120T1200Z-180min-b",
    ):
        folder.write_page(name, "x")
    folder.write_index("index")
    (tmp_path / "house" / "notes.html.gz").write_bytes(b"mine")
    assert folder.forget(NOON - timedelta(days=7)) == 2
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [
        "20261120T1200Z-180min-b.html.gz", "index.html", "notes.html.gz",
    ]  # fmt: skip


def asked(client: FlaskClient, path: str, **headers: str) -> tuple[int, str | None, bytes]:
    answer = client.get(path, headers=headers)
    return answer.status_code, answer.headers.get("Content-Encoding"), answer.data


def test_pages_are_served_zipped_to_whoever_can_unzip_and_nothing_else_is_served(tmp_path: Path) -> None:
    ReportFolder(tmp_path / "reports").write_page("house/a", "hello")
    (tmp_path / "reports" / "house" / ".a.html.gz.7").write_bytes(b"half")
    (tmp_path / "secret.html").write_text("secret")
    with create_app(tmp_path / "reports").test_client() as at:
        assert asked(at, "/")[0] == 200 and b"No reports yet" in asked(at, "/")[2]
        status, coding, body = asked(at, "/house/a.html", **{"Accept-Encoding": "gzip"})
        assert (status, coding, gzip.decompress(body)) == (200, "gzip", b"hello")
        assert asked(at, "/house/a.html") == (200, None, b"hello")
        for path in ("/house/", "/house/b.html", "/house/a.html.gz", "/house/.a.html.gz.7", "/../secret.html"):
            assert asked(at, path)[0] == 404, path
        ReportFolder(tmp_path / "reports").write_index("the index")
        assert asked(at, "/") == (200, None, b"the index")
