"""Reports with the real Evidently, from both stores: what each kind of window gives, without any error."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymongo import MongoClient

from monitoring.evidently_service.drift.statistics import Sample, Table
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE
from reporting.evidently_report import drift_report
from reporting.folder import ReportFolder
from reporting.reporter import Reporter
from scorehouse.bundles.bundle import Bundle
from scorehouse.registry.client import Version
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Scorer
from scorehouse.stores.mongo_reports import COLLECTION, MongoReports
from scorehouse.stores.mongo_store import DATABASE
from scorehouse.stores.sqlite_reports import SqliteReports
from scorehouse.stores.store import Document
from tests.unit.monitoring.house import FEATURES, NOON, OTHER, RUN, USE_CASE, FakeCache, documents, records

UNTIL = datetime.fromtimestamp(NOON + 3600, UTC)
LATER = "2026-11-21T18:00:00.000000+00:00"


@pytest.fixture(params=["sqlite", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A real store, empty."""
    made: Any
    if request.param == "sqlite":
        made = SqliteReports(tmp_path / "predictions.db")
    else:
        address = request.getfixturevalue("mongodb_address")
        with MongoClient[Document](address) as client:
            client.drop_database(DATABASE)
        made = MongoReports(address)
    yield made
    made.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Any:
    """A store where both would do the same."""
    made = SqliteReports(tmp_path / "predictions.db")
    yield made
    made.close()


def reporter(store: Any, folder: Path, *runs: str, **more: Any) -> Reporter:
    cache: Any = FakeCache(*runs)
    given = {"links": {}, "most_records": 5000, "clock": lambda: NOON + 3660, "load": lambda _: USE_CASE, **more}
    return Reporter(store, cache, ReportFolder(folder), **given)


def add(store: Any, *parts: Sequence[Document]) -> None:
    for part in parts:
        store.add(part)


def made_by(store: Any, folder: Path, *runs: str, minutes: int = 120, **more: Any) -> list[dict[str, Any]]:
    one = reporter(store, folder, *runs, **more)
    return one.report(one.span(minutes, UNTIL))


def page(folder: Path, name: str) -> str:
    return gzip.decompress((folder / f"{name}.html.gz").read_bytes()).decode()


def index(folder: Path) -> str:
    return re.sub(r"\s+", " ", (folder / "index.html").read_text())


def evidently_columns(report: dict[str, Any]) -> set[str]:
    drift = report["evidently"]["drift"]
    return {m["config"]["column"] for m in drift if m["config"]["type"].endswith("ValueDrift")}


def test_drift_and_quality_of_a_window_are_on_pages_and_stored_as_json(store: Any, tmp_path: Path) -> None:
    add(store, documents(records(800, seed=2)), documents(records(700, seed=3, drift=1), 801, at=NOON + 1200))
    outcomes = [{"prediction_id": f"p{n}", "outcome": float(n % 3 == 0), "outcome_at": LATER} for n in range(1, 101)]
    store.add_outcomes(outcomes)
    [made] = made_by(store, tmp_path)
    assert (made["verdict"], made["records"], made["compared"]) == ("1 of 5 columns drifts", 1500, 1500)
    limit = next(c for c in made["columns"] if c["column"] == "limit")
    assert limit["drifts"] and not limit["from_start"] and limit["ended"] is None
    assert NOON + 1200 < datetime.fromisoformat(limit["since"]).timestamp() < NOON + 1900
    assert made["quality"]["records"] == 100
    assert made["quality"]["figures"]["mean_true"] == pytest.approx(0.33)
    assert evidently_columns(made) == {"limit", "months", "card", "spent", "prediction"}
    assert set(made["evidently"]) == {"drift", "quality"}
    [kept] = store.reports(10)
    assert {**kept, "evidently": None} == {**made, "evidently": None}
    assert "1 of 5 columns drifts" in page(tmp_path, made["id"])
    assert "1 of 5 columns drifts" in index(tmp_path) and "(100 outcomes)" in index(tmp_path)
    for name in ("drift", "quality"):
        html = page(tmp_path, f"{made['id']}-{name}")
        assert len(html) > 1_000_000  # its libraries are in it
        assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']?https?:", html)


def test_tests_are_in_no_report(store: Any) -> None:
    made = documents(records(5))
    store.add([{**document, "test": i < 2} for i, document in enumerate(made)])
    store.add_outcomes(
        [{"prediction_id": f"p{n}", "use_case": USE_CASE.name, "outcome": 1.0, "outcome_at": LATER} for n in (2, 3)]
    )
    since = datetime.fromtimestamp(NOON - 60, UTC)
    [answered] = store.answered_between(since, UNTIL)
    assert answered.records == 3
    assert [d["prediction_id"] for d in store.newest_between(answered, since, UNTIL, 10)] == ["p3", "p4", "p5"]
    known = store.newest_between(answered, since, UNTIL, 10, with_outcome=True)
    assert [d["prediction_id"] for d in known] == ["p3"]


class Challengers(FakeCache):
    """The run that answers, and a challenger that answers differently."""

    def load(self, version: Version) -> Bundle:
        made = super().load(version)
        if version.run_id == OTHER:
            other = Scorer(
                RecordSchema(FEATURES), USE_CASE.derive, Encoder.of(FEATURES), lambda rows: np.full(len(rows), 0.4)
            )
            made.scorer = lambda use_case: other  # type: ignore[method-assign]
        return made


def with_challenger(store: Any, folder: Path, run: str) -> dict[str, Any]:
    cache: Any = Challengers(RUN, OTHER)
    one = Reporter(
        store,
        cache,
        ReportFolder(folder),
        {},
        5000,
        challengers={USE_CASE.name: run},
        clock=lambda: NOON + 3660,
        load=lambda _: USE_CASE,
    )
    [made] = one.report(one.span(120, UNTIL))
    return made


def test_the_report_compares_the_challengers_answers_and_both_qualities(sqlite: Any, tmp_path: Path) -> None:
    given = usual(300)
    sqlite.add(given)
    made = with_challenger(sqlite, tmp_path, OTHER)
    answers = np.array([d["prediction"] for d in given])
    compared = made["challenger"]
    figures = ("model_run_id", "records", "rejected", "outcomes")
    assert tuple(compared[name] for name in figures) == (OTHER, 300, 0, 0)
    assert compared["difference"]["mean"] == pytest.approx(0.4 - answers.mean())
    assert compared["difference"]["mean_absolute"] == pytest.approx(np.abs(0.4 - answers).mean())
    text = page(tmp_path, made["id"])
    assert "scored the same 300 records" in text and "once outcomes are known" in text
    sqlite.add_outcomes(
        [
            {"prediction_id": d["prediction_id"], "outcome": float(i % 2), "outcome_at": LATER}
            for i, d in enumerate(given)
        ]
    )
    made = with_challenger(sqlite, tmp_path, OTHER)
    truth = np.arange(300) % 2
    assert made["challenger"]["figures"]["brier"] == pytest.approx(
        [np.mean((answers - truth) ** 2), np.mean((0.4 - truth) ** 2)]
    )
    assert ">300 outcomes" in page(tmp_path, made["id"])


def test_a_challenger_is_not_compared_with_itself_and_a_missing_one_gives_a_notice(sqlite: Any, tmp_path: Path) -> None:
    sqlite.add(usual(300))
    assert "challenger" not in with_challenger(sqlite, tmp_path, RUN)
    nobody = with_challenger(sqlite, tmp_path, "c" * 32)
    assert nobody["notices"][-1] == f"The challenger is not compared: no run {'c' * 32}"
    assert nobody["verdict"] == "Nothing drifts"


def test_a_report_holds_no_id_and_no_record(sqlite: Any, tmp_path: Path) -> None:
    secret = [{**d, "prediction_id": f"id-{i}-x", "customer_id": f"anna-{i}-x"} for i, d in enumerate(usual(300))]
    sqlite.add([{**d, "record": {**d["record"], "limit": 7654.321}} for d in secret[:1]] + secret[1:])
    [made] = made_by(sqlite, tmp_path)
    texts = [str(made), index(tmp_path), *(page(tmp_path, f"{made['id']}{part}") for part in ("", "-drift"))]
    assert all(re.search(r"anna-\d|id-\d+-x|7654\.32", text) is None for text in texts)


def usual(count: int) -> list[Document]:
    return documents(records(count, seed=4))


def test_a_window_without_traffic_has_nothing_to_report(store: Any, tmp_path: Path) -> None:
    [made] = made_by(store, tmp_path)
    assert (made["state"], made["verdict"]) == ("nothing", "Nothing to report")
    assert "nothing to report, because no records were scored" in index(tmp_path)
    add(store, usual(1))
    made_by(store, tmp_path)
    assert "nothing to report" not in index(tmp_path)  # the shipper was late


def test_one_row_gives_a_report_without_a_verdict(store: Any, tmp_path: Path) -> None:
    add(store, usual(1))
    [made] = made_by(store, tmp_path)
    assert (made["verdict"], made["records"]) == ("Too early to say", 1)
    assert made["notices"][0] == "1 record can be compared; a verdict needs 200."
    assert evidently_columns(made) == {"limit", "months", "card", "spent", "prediction"}
    assert "Too early to say" in page(tmp_path, made["id"])


def test_a_column_that_is_null_in_every_record_drifts_and_is_left_out_of_evidentlys_page(
    sqlite: Any, tmp_path: Path
) -> None:
    add(sqlite, documents([{**r, "months": None} for r in records(400, seed=4)]))
    [made] = made_by(sqlite, tmp_path)
    months = next(c for c in made["columns"] if c["column"] == "months")
    assert months["drifts"] and months["missing_in_window"] == 1
    assert "months" not in evidently_columns(made)
    said = "months: missing in every record. The verdict includes it; Evidently's page does not."
    assert said in made["notices"]
    assert "Evidently&#39;s page does not" in page(tmp_path, made["id"])


def test_a_field_that_nobody_sends_gives_a_notice_but_no_drift(sqlite: Any, tmp_path: Path) -> None:
    add(sqlite, documents([{k: v for k, v in r.items() if k != "spent"} for r in records(400, seed=4)]))
    [made] = made_by(sqlite, tmp_path)
    assert made["verdict"] == "Nothing drifts"
    assert "Not compared, because no record contains them: spent." in made["notices"]


def test_an_unseen_category_is_counted_but_not_shown(sqlite: Any, tmp_path: Path) -> None:
    cache: Any = FakeCache()
    lenient(cache)
    sent = [{**r, "card": "platinum"} if i % 11 == 0 else r for i, r in enumerate(records(440, seed=4))]
    add(sqlite, documents(sent))
    one = Reporter(sqlite, cache, ReportFolder(tmp_path), {}, 5000, clock=lambda: NOON + 3660, load=lambda _: USE_CASE)
    [made] = one.report(one.span(120, UNTIL))
    assert "card: 40 records have a category unseen in training; it was scored as missing." in made["notices"]
    card = next(c for c in made["columns"] if c["column"] == "card")
    assert card["drifts"] and card["missing_in_window"] == pytest.approx(40 / 440)
    assert "platinum" not in page(tmp_path, made["id"]) + page(tmp_path, f"{made['id']}-drift")


def lenient(cache: Any) -> None:
    """Let the run's schema take categories that it does not know."""
    bundle = cache.bundles[RUN]
    features = [{**f, "unseen": "missing" if f["name"] == "card" else f["unseen"]} for f in bundle.manifest.features]
    manifest = bundle.manifest.model_copy(update={"features": features})
    made = type(bundle)(bundle.folder, manifest, "")
    made.__dict__["reference"] = bundle.reference
    cache.bundles[RUN] = made


def test_a_window_across_a_change_of_run_gives_one_report_for_each(store: Any, tmp_path: Path) -> None:
    second = documents(records(300, seed=3, drift=1), 401, at=NOON + 1200)
    add(store, documents(records(400, seed=2)), [{**d, "model_run_id": OTHER} for d in second])
    first, other = made_by(store, tmp_path, RUN, OTHER)
    assert (first["model_run_id"], first["records"], first["verdict"]) == (RUN, 400, "Nothing drifts")
    assert (other["model_run_id"], other["records"], other["verdict"]) == (OTHER, 300, "1 of 5 columns drifts")
    assert page(tmp_path, first["id"]) != page(tmp_path, other["id"])


def test_a_deleted_run_is_one_line_and_the_other_run_has_its_report(store: Any, tmp_path: Path) -> None:
    add(store, documents(records(300, seed=2)), [{**d, "model_run_id": OTHER} for d in documents(records(9), 301)])
    first, gone = made_by(store, tmp_path, RUN)
    assert first["verdict"] == "Nothing drifts"
    assert (gone["verdict"], gone["notices"]) == ("Cannot be compared", [f"no run {OTHER}"])
    assert f"no run {OTHER}" in index(tmp_path)


def test_outcomes_that_come_late_are_counted_when_the_window_is_reported_again(store: Any, tmp_path: Path) -> None:
    add(store, usual(300))
    [before] = made_by(store, tmp_path)
    assert before["quality"] == {"records": 0, "figures": {}, "at_training": {"auc": 0.8}}
    store.add_outcomes([{"prediction_id": f"p{n}", "outcome": 1.0, "outcome_at": LATER} for n in range(1, 51)])
    [after] = made_by(store, tmp_path)
    assert after["quality"]["records"] == 50 and after["quality"]["figures"]["mean_true"] == 1.0
    assert (
        "Evidently's page about quality needs outcomes of both classes, but only one class occurs." in after["notices"]
    )
    assert len(store.reports(10)) == 1  # in place of the first


def test_only_the_window_is_read_and_of_it_the_newest(store: Any, tmp_path: Path) -> None:
    add(store, documents(records(50, seed=1), at=NOON - 90_000), documents(records(400, seed=2), 51))
    [made] = made_by(store, tmp_path, most_records=250)
    assert (made["records"], made["compared"]) == (400, 250)
    assert "The newest 250 of 400 records are compared." in made["notices"]


def test_reports_that_are_older_than_the_retention_go_with_their_pages(store: Any, tmp_path: Path) -> None:
    add(store, documents(records(250, seed=1), at=NOON - 40 * 86_400), documents(records(250, seed=2), 251))
    one = reporter(store, tmp_path, clock=lambda: NOON - 40 * 86_400 + 3600)
    [old] = one.report(one.span(120))
    assert (tmp_path / f"{old['id']}.html.gz").exists()
    [new] = made_by(store, tmp_path, keep_days=30)
    assert [kept["id"] for kept in store.reports(10)] == [new["id"]]
    assert sorted(p.name for p in tmp_path.glob("*/*.html.gz")) == [
        f"{Path(new['id']).name}-drift.html.gz",
        f"{Path(new['id']).name}.html.gz",
    ]
    assert old["id"] not in index(tmp_path)


def test_mongodb_keeps_reports_in_the_collection_report(mongodb_address: str, tmp_path: Path) -> None:
    with MongoClient[Document](mongodb_address) as client:
        client.drop_database(DATABASE)
        store = MongoReports(mongodb_address)
        made_by(store, tmp_path)
        store.close()
        [kept] = client[DATABASE][COLLECTION].find()
    assert COLLECTION == "report" and kept["verdict"] == "Nothing to report"


def spaced(count: int, seconds: float, drift: float = 0.0) -> list[Document]:
    """Predictions so many seconds apart, until the report's end."""
    first = UNTIL.timestamp() - count * seconds
    times = [datetime.fromtimestamp(first + i * seconds, UTC).isoformat() for i in range(count)]
    return [{**d, "created_at": t} for d, t in zip(documents(records(count, 7, drift)), times, strict=True)]


def test_a_short_report_judges_drift_on_a_spread_sample_of_the_windows_time(store: Any, tmp_path: Path) -> None:
    add(store, spaced(2000, 7.0, drift=1))
    [made] = made_by(store, tmp_path, minutes=15, most_records=300, rule=replace(DEFAULT_RULE, span=7200.0))
    assert (made["state"], made["records"]) == ("drifts", 128)
    assert 280 <= made["compared"] <= 320
    oldest, newest = (datetime.fromisoformat(made[name]) for name in ("oldest", "newest"))
    assert 6900 < (newest - oldest).total_seconds() <= 7200
    assert any("of the 2 hours before the end of this report" in notice for notice in made["notices"])


def test_a_run_that_answered_for_less_than_the_windows_time_has_no_verdict(sqlite: Any, tmp_path: Path) -> None:
    add(sqlite, spaced(600, 7.0, drift=1))
    [made] = made_by(sqlite, tmp_path, minutes=60, rule=replace(DEFAULT_RULE, span=7200.0))
    assert (made["state"], made["verdict"]) == ("early", "Too early to say")
    assert not any(column["drifts"] for column in made["columns"])


def test_a_record_that_was_sent_again_counts_once_in_a_report(sqlite: Any, tmp_path: Path) -> None:
    add(sqlite, documents([record for record in records(300, seed=4) for _ in range(2)]))
    [made] = made_by(sqlite, tmp_path)
    assert (made["records"], made["compared"]) == (600, 300)
    assert (
        "300 records repeat the customer or the content of another; each customer or content counts once."
        in (made["notices"])
    )


def test_a_label_or_a_name_with_markup_ends_no_script_of_evidentlys_page() -> None:
    markup = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)>"
    sides = [
        Table({markup: Sample("category", np.repeat([0.0, 1.0], 50), 100)}, 100),
        Table({markup: Sample("category", np.repeat([0.0, 1.0], [20, 80]), 100)}, 100),
    ]
    report = drift_report(sides[0], sides[1], {markup: {0.0: f"{markup} or <5", 1.0: "b"}})
    assert report is not None
    assert not re.search("<script>alert|<img src=x", report.html)
    assert "or <5" in report.html
