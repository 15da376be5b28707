"""The nightly batch: every row once, in one file or the other, whole or not at all, the same each time it is run."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_orchestration.batch import prediction_log
from model_orchestration.batch.applications import Applications
from model_orchestration.batch.day import Report, WaitForChunk, score_day
from model_orchestration.batch.places import Folder, parse_day
from model_orchestration.batch.records import to_typed_column
from model_orchestration.batch.sample import write_sample
from model_orchestration.batch.scoring import Model, Scored, score_chunk
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import AlreadyRunning, StoreUnavailable, TableError
from scorehouse.registry.client import Version
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.tables import table
from scorehouse.usecase import Feature, Schedule
from tests import signing
from tests import toy as toys
from tests.toy import Toy

DAY = date(2026, 11, 20)
ROWS = 300
NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def model(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    run_id = toys.cache_in(folder, toy)
    version = Version("1", run_id, toy.digest, signing.signature(run_id, toy.digest))
    trust = Trust((signing.PUBLIC,))
    return Model("churn", version, "http://127.0.0.1:9", str(folder / "bundles"), trust)


@pytest.fixture(scope="module")
def records(toy: Toy) -> list[dict[str, Any]]:
    return toys.records(toy.use_case, ROWS)


@pytest.fixture
def frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    applications = pd.DataFrame(records)
    applications.insert(3, "application", [f"A{i}" for i in range(ROWS)])
    return applications


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def here(model: Model, chunk: pa.Table, written: Any) -> WaitForChunk:
    return lambda: score_chunk(model, chunk, written)


def run(toy: Toy, folder: Path, model: Model, submit: Callable[..., WaitForChunk] = here, in_flight: int = 1) -> Report:
    store = SqliteStore(folder / "predictions.db")
    return score_day(toy.use_case, Folder(folder), DAY, model, store, submit, in_flight, lambda share, rows: None, NOW)


def logged(folder: Path) -> list[dict[str, Any]]:
    return SqliteStore(folder / "predictions.db").predictions_after("churn", 0, 10 * ROWS)


def out(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(folder / f"out/{DAY}.parquet"), pd.read_parquet(folder / f"out/{DAY}.rejected.parquet")


def small_chunks(monkeypatch: pytest.MonkeyPatch, rows: int = 37) -> None:
    whole = Applications.chunks
    monkeypatch.setattr(Applications, "chunks", lambda self: whole(self, rows))
    monkeypatch.setattr(table, "BLOCK", 4096)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_day_of_any_format_is_answered_as_the_door_would_in_its_order(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, records: list[dict[str, Any]], ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    small_chunks(monkeypatch)
    file = folder / f"in/{DAY}.{ending}"
    if ending == "parquet":
        frame.to_parquet(file)
    else:
        text = frame.to_csv(index=False, sep=";").encode()
        file.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    report = run(toy, folder, model)
    scored, rejected = out(folder)
    assert (report.rows, report.scored, report.rejected) == (ROWS, ROWS, 0)
    assert list(scored["churn chance"]) == toy.bundle().scorer(toy.use_case).score(records)
    assert list(scored.columns) == [*frame.columns, "predicted_left", "churn chance", "model_run_id", "prediction_id"]
    assert list(scored["application"]) == list(frame["application"])
    assert set(scored["model_run_id"]) == {model.version.run_id}
    np.testing.assert_array_equal(scored["predicted_left"], scored["churn chance"] >= 0.5)
    pd.testing.assert_series_equal(scored["credit_limit"], frame["credit_limit"].astype(float))
    assert rejected.empty and list(rejected.columns)[-2:] == ["row", "reason"]


def test_a_day_from_another_program_is_answered_alike_and_columns_without_a_feature_are_handed_on_as_they_are(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, records: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Latin-1, decimal commas, a zip file named .csv, three rows of separators, and ids that look like numbers."""
    small_chunks(monkeypatch)
    frame["customer, id"] = [f"{i:05}" for i in range(ROWS)]
    frame["country"] = ["NA", "nan", "null", "José"] * (ROWS // 4)
    frame["branch"] = ["7"] * (ROWS - 1) + ["A7"]
    text = frame.to_csv(index=False, sep=";", decimal=",") + ";" * (len(frame.columns) - 1) + "\n;;;\n\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("applications.txt", text.encode("latin-1"))
    (folder / f"in/{DAY}.csv").write_bytes(file.getvalue())
    report = run(toy, folder, model)
    scored, rejected = out(folder)
    assert (report.rows, report.scored, len(rejected)) == (ROWS, ROWS, 0)
    assert list(scored["churn chance"]) == toy.bundle().scorer(toy.use_case).score(records)
    for name in ("customer, id", "country", "branch"):
        assert list(scored[name]) == list(frame[name])
    said = f"read in/{DAY}.csv: zip, Windows-1252, ';' between columns, decimal comma, 3 empty rows skipped"
    assert said in str(report)


def test_rows_without_any_value_are_left_out_and_the_others_keep_their_numbers(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    lines = frame.astype({"customer_age": object}).to_csv(index=False).splitlines()
    lines[5:5] = ["," * (len(frame.columns) - 1), ""]
    lines[20] = lines[20].replace(",blue,", ",bronze,").replace(",silver,", ",bronze,").replace(",gold,", ",bronze,")
    (folder / f"in/{DAY}.csv").write_text("\n".join(lines))
    report = run(toy, folder, model)
    scored, rejected = out(folder)
    assert (report.rows, list(rejected["row"])) == (ROWS, [19])
    assert "card_category: 1 rows, row 21 is not allowed" in str(report)
    assert [id_.rpartition("-")[2] for id_ in scored["prediction_id"][:6]] == ["0", "1", "2", "3", "6", "7"]


def test_a_nested_column_of_a_feature_is_refused_by_name(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.assign(customer_age=[[50]] * ROWS).to_parquet(folder / f"in/{DAY}.parquet")
    with pytest.raises(TableError, match=r"nested columns, which cannot be scored: customer_age \(list<"):
        run(toy, folder, model)


def test_the_order_of_columns_changes_nothing(toy: Toy, folder: Path, model: Model, frame: pd.DataFrame) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    run(toy, folder, model)
    first, _ = out(folder)
    frame[list(frame.columns[::-1])].to_csv(folder / f"in/{DAY}.csv", index=False)
    run(toy, folder, model)
    pd.testing.assert_frame_equal(out(folder)[0][first.columns], first)


def test_bad_rows_are_in_the_second_file_with_reasons_and_cost_the_others_nothing(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    raw = frame.astype(object)
    raw.loc[[3, 200], "card_category"] = "bronze"
    raw.loc[41, "customer_age"] = "old"
    raw.loc[[7, 8], "gender"] = None
    raw.to_csv(folder / f"in/{DAY}.csv", index=False)
    report = run(toy, folder, model)
    scored, rejected = out(folder)
    assert list(rejected["row"]) == [3, 41, 200]
    assert list(rejected["application"]) == ["A3", "A41", "A200"]
    assert "card_category: is not allowed (expected one of 'blue', 'silver'" in rejected["reason"][0]
    assert rejected["customer_age"][1] == "old"
    assert list(scored["application"]) == [f"A{i}" for i in range(ROWS) if i not in {3, 41, 200}]
    assert [d["prediction_id"] for d in logged(folder)] == list(scored["prediction_id"])
    assert list(scored["prediction_id"])[3] == f"batch-{DAY}-aaaaaaaa-4"  # ids count the rows of the input
    assert "card_category: 2 rows, row 5 is not allowed" in str(report) and "row 202" in str(report)
    assert "bronze" not in str(report)  # what people wrote does not go into logs


def test_a_missing_column_refuses_the_table_and_names_what_it_may_be_called(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.rename(columns={"credit_limit": "Credit Limit"}).to_csv(folder / f"in/{DAY}.csv", index=False)
    with pytest.raises(TableError, match="'credit_limit' \\(did you mean 'Credit Limit'\\?\\)"):
        run(toy, folder, model)
    assert list((folder / "out").iterdir()) == []


def test_a_misspelt_optional_column_is_named_among_what_was_not_scored(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.rename(columns={"total_trans_ct": "total_trans_cnt"}).to_csv(folder / f"in/{DAY}.csv", index=False)
    assert "copied to the output but not scored: application, total_trans_cnt" in str(run(toy, folder, model))


def test_a_folder_that_cannot_be_written_is_named(toy: Toy, folder: Path, model: Model, frame: pd.DataFrame) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    (folder / "out").write_text("a file is in the way")
    with pytest.raises(TableError, match=f"{folder} cannot be written"):
        run(toy, folder, model)


def test_a_table_of_which_no_row_can_be_scored_is_refused_and_what_was_there_stays(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    run(toy, folder, model)
    before = (folder / f"out/{DAY}.parquet").read_bytes()
    frame.assign(gender="other").to_csv(folder / f"in/{DAY}.csv", index=False)
    with pytest.raises(TableError, match=r"no row that can be scored[\s\S]*gender: 300 rows, row 2"):
        run(toy, folder, model)
    assert (folder / f"out/{DAY}.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("csv", b"", "is empty"),
        ("csv", b"a,b\n1,2\n", r"has no columns 'customer_age', .*, which every application must have$"),
        ("parquet", b"PAR1 but not really", "cannot be read"),
        ("csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000)[:40], "is torn"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused_by_name(
    toy: Toy, folder: Path, model: Model, name: str, content: bytes, said: str
) -> None:
    (folder / f"in/{DAY}.{name}").write_bytes(content)
    with pytest.raises(TableError, match=said) as refused:
        run(toy, folder, model)
    assert f"{DAY}.{name}" in str(refused.value)


def test_a_line_that_is_not_whole_refuses_the_table_without_showing_its_content(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    text = frame.to_csv(index=False)
    (folder / f"in/{DAY}.csv").write_text(text + "50,secret\n")
    with pytest.raises(TableError, match="has 2 cells in row 302, but there are 20 columns") as refused:
        run(toy, folder, model)
    assert "secret" not in str(refused.value)


def test_no_applications_and_two_files_of_them_are_named(toy: Toy, folder: Path, model: Model) -> None:
    with pytest.raises(TableError, match=r"no input file for 2026-11-20: none of in/2026-11-20\.parquet"):
        run(toy, folder, model)
    for ending in ("csv", "parquet"):
        (folder / f"in/{DAY}.{ending}").touch()
    with pytest.raises(TableError, match="keep only one file with the applications"):
        run(toy, folder, model)


def test_a_run_that_dies_half_way_leaves_nothing_and_the_next_gives_one_whole_file(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    chunks = 0

    def dies(model: Model, chunk: pa.Table, written: Any) -> WaitForChunk:
        nonlocal chunks
        chunks += 1
        if chunks == 5:
            raise KeyboardInterrupt
        return here(model, chunk, written)

    with pytest.raises(KeyboardInterrupt):
        run(toy, folder, model, dies)
    assert not list((folder / "out").glob("*.parquet")) and not logged(folder)
    run(toy, folder, model)
    first = (folder / f"out/{DAY}.parquet").read_bytes()
    assert list(out(folder)[0]["application"]) == list(frame["application"])
    assert sorted(p.name for p in (folder / "out").iterdir()) == [f"{DAY}.parquet", f"{DAY}.rejected.parquet"]
    run(toy, folder, model)
    assert (folder / f"out/{DAY}.parquet").read_bytes() == first


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_answer_is_in_the_prediction_log_once_however_often_the_day_is_scored(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, records: list[dict[str, Any]], ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    small_chunks(monkeypatch)
    monkeypatch.setattr(prediction_log, "AT_ONCE", 70)
    frame["customer_id"] = [float(i) if i % 3 else None for i in range(ROWS)]
    file = folder / f"in/{DAY}.{ending}"
    frame.to_parquet(file) if ending == "parquet" else frame.to_csv(file, index=False)
    for _ in range(2):
        assert run(toy, folder, model).conflicts == 0
    documents = logged(folder)
    scored, _ = out(folder)
    assert [d["prediction_id"] for d in documents] == [f"batch-{DAY}-aaaaaaaa-{i}" for i in range(ROWS)]
    assert [d["prediction_id"] for d in documents] == list(scored["prediction_id"])
    assert [d["prediction"] for d in documents] == list(scored["churn chance"])
    assert [d["record"] for d in documents] == records
    assert [d["customer_id"] for d in documents] == [str(i) if i % 3 else None for i in range(ROWS)]
    assert {(d["door"], d["use_case"], d["model_run_id"], d["created_at"]) for d in documents} == {
        ("batch", "churn", toys.RUN_ID, NOW.isoformat())
    }


def test_the_files_own_ids_are_kept_and_a_changed_row_under_an_old_id_is_told(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame["prediction_id"] = [f"order-{i}" if i else None for i in range(ROWS)]
    frame.to_parquet(folder / f"in/{DAY}.parquet")
    run(toy, folder, model)
    expected = [f"batch-{DAY}-aaaaaaaa-0", *(f"order-{i}" for i in range(1, ROWS))]
    assert [d["prediction_id"] for d in logged(folder)] == expected == list(out(folder)[0]["prediction_id"])
    frame.loc[7, "credit_limit"] += 1
    frame.to_parquet(folder / f"in/{DAY}.parquet")
    assert "1 rows are in the prediction log with other values, which it keeps" in str(run(toy, folder, model))
    assert len(logged(folder)) == ROWS


def test_answers_that_cannot_be_logged_are_not_published(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    (folder / "predictions.db").mkdir()
    with pytest.raises(StoreUnavailable):
        run(toy, folder, model)
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_progress_grows_to_the_end(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    small_chunks(monkeypatch)
    file = folder / f"in/{DAY}.{ending}"
    frame.to_parquet(file) if ending == "parquet" else frame.to_csv(file, index=False)
    seen: list[tuple[float, int]] = []
    store = SqliteStore(folder / "predictions.db")
    score_day(
        toy.use_case, Folder(folder), DAY, model, store, here, 1, lambda share, rows: seen.append((share, rows)), NOW
    )
    assert seen == sorted(seen) and seen[-1] == (1.0, ROWS)
    assert ending == "csv" or seen[0][0] == pytest.approx(37 / ROWS)  # of a CSV many blocks are read ahead


def test_chunks_are_submitted_ahead_but_no_more_than_allowed_and_written_in_order(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch, 20)
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    open_, most = 0, 0

    def later(model: Model, chunk: pa.Table, written: Any) -> WaitForChunk:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)

        def wait() -> Scored:
            nonlocal open_
            open_ -= 1
            return score_chunk(model, chunk, written)

        return wait

    run(toy, folder, model, later, in_flight=4)
    assert most == 4
    assert list(out(folder)[0]["application"]) == list(frame["application"])


def test_two_runs_of_one_day_do_not_write_into_each_other(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    with Folder(folder).workspace(DAY), pytest.raises(AlreadyRunning, match="2026-11-20"):
        run(toy, folder, model)


def test_a_column_of_the_applications_gives_way_to_an_answers_column_of_its_name(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.assign(**{"churn chance": 9.0}).to_parquet(folder / f"in/{DAY}.parquet")
    run(toy, folder, model)
    assert out(folder)[0]["churn chance"].max() <= 1


def test_parquet_columns_of_other_types_are_read_as_what_they_mean(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame, records: list[dict[str, Any]]
) -> None:
    frame["gender"] = frame["gender"].astype("category")
    frame["credit_limit"] = frame["credit_limit"].astype("float32")
    typed = pa.Table.from_pandas(frame.astype({"total_trans_ct": float}))
    gap = pa.array([np.nan, *frame["total_trans_amt"][1:]], pa.float64(), from_pandas=False)
    pq.write_table(typed.set_column(typed.schema.get_field_index("total_trans_amt"), "total_trans_amt", gap),
                   folder / f"in/{DAY}.parquet")  # fmt: skip
    report = run(toy, folder, model)
    expected = [dict(r, credit_limit=float(np.float32(r["credit_limit"]))) for r in records]
    expected[0]["total_trans_amt"] = None
    assert report.rejected == 0
    assert list(out(folder)[0]["churn chance"]) == toy.bundle().scorer(toy.use_case).score(expected)


def test_text_that_counts_as_missing_is_an_empty_cell_of_a_column_of_codes() -> None:
    feature = Feature(name="level", kind="category", help="", categories=(1, 2, 3), unseen="missing")
    cells = to_typed_column(pa.array(["1", "unknown", "3", None]), feature, {})
    assert (cells.type, cells.to_pylist()) == (pa.int64(), [1, None, 3, None])


def test_what_a_killed_run_left_behind_is_written_over(
    toy: Toy, folder: Path, model: Model, frame: pd.DataFrame
) -> None:
    frame.to_csv(folder / f"in/{DAY}.csv", index=False)
    left = folder / "out" / f".{DAY}"
    left.mkdir(parents=True)
    (left / "scored.parquet").write_bytes(os.urandom(100))
    assert run(toy, folder, model).scored == ROWS
    assert not left.exists()


def test_a_days_sample_is_the_same_each_time_and_can_be_scored(toy: Toy, tmp_path: Path, model: Model) -> None:
    where = Folder(tmp_path)
    assert write_sample(toy.use_case, where, DAY, 50) == f"in/{DAY}.parquet"
    first = (tmp_path / f"in/{DAY}.parquet").read_bytes()
    write_sample(toy.use_case, where, DAY, 50)
    assert (tmp_path / f"in/{DAY}.parquet").read_bytes() == first
    report = run(toy, tmp_path, model)
    assert (report.scored, report.rejected, report.unused_columns) == (50, 0, ["application"])


def test_without_a_day_it_is_yesterday_by_the_use_cases_own_clock(toy: Toy) -> None:
    new_york = replace(toy.use_case, schedule=Schedule(timezone="America/New_York"))
    now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # still the evening of the 20th there
    assert [parse_day(None, case, now) for case in (toy.use_case, new_york)] == [date(2026, 11, 20), date(2026, 11, 19)]
    with pytest.raises(TableError, match="DATE='tomorrow' is not a valid date: write it as YYYY-MM-DD"):
        parse_day("tomorrow", toy.use_case, now)
