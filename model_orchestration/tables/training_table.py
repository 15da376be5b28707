"""Raw tables in, checked records out: a table is read here, and one that cannot be trained on is refused here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned, clean_table
from model_orchestration.tables.columns import require_columns, require_no_leak
from model_orchestration.tables.examination import Examined, examine
from model_orchestration.tables.faults import write
from model_orchestration.tables.reading import day_order, parse_days
from model_orchestration.tables.times import first_tested, is_not_later, read_times, split_by_time
from scorehouse.aws import aws_client
from scorehouse.errors import TableError
from scorehouse.tables.frames import Frame, frame_of, read_frame
from scorehouse.usecase import UseCase

SAMPLE_SEED = 1
SPLIT_TAG = "split"  # of a run: what decided the sides of its rows
FOLDS = 5  # of cross-validation
TRAIN, VALID, TEST = 0, 1, 2
SPLITS = ("training", "validation", "test")  # names of TRAIN, VALID and TEST


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A table that can be trained on.

    `records` are n records without the target, as the schema returns them: checked once, never again.
    `truth`, `keys`, `weights`, `senders` and, if rows are split by time, `times` have n entries each. A row's sender is
    who sent its outcome, and empty for a row of the table itself. `source` and `data_hash` say which table it was.
    `notes` say, a line each, how the table was read. For messages, `target_name` and `key_name` are the raw columns of
    target and key, and `outcomes` are classes as the raw table writes them.
    """

    records: list[dict[str, Any]]
    truth: NDArray[np.float64]
    keys: list[str]
    source: str
    data_hash: str
    weights: NDArray[np.float64]
    senders: list[str]
    times: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    target_name: str = "the target"
    key_name: str = "the key"
    outcomes: Mapping[float, str] = field(default_factory=dict)


def read_table(source: str, use_case: UseCase, s3_endpoint: str = "") -> Frame:
    """Return the raw table at `source` (a path or s3://bucket/key), or a sample if `source` is empty.

    Raises:
        TableError: the table does not exist or cannot be read, or there is neither a table nor a sample.
        UseCaseError: the page's `sample` fails.
    """
    if not source:
        if use_case.sample is None:
            raise TableError(f"{use_case.name} has no sample to train on: set DATA to your table (CSV or Parquet)")
        return frame_of(pd.DataFrame(use_case.draw_sample(use_case.sample_rows, SAMPLE_SEED)))
    content = _read_s3(source, s3_endpoint) if source.startswith("s3://") else _read_file(source)
    return read_frame(content, source, use_case.table_features, use_case.missing)


def prepare(
    table: Frame | pd.DataFrame, use_case: UseCase, source: str = "", before: date | None = None
) -> TrainingTable:
    """Clean `table`, leave out rows dated `before` or later (if rows have a date), and check each remaining row once.

    Raises:
        TableError: a column is missing, a cell cannot be read, or a feature contains the answer. The message is one
            line, which names the raw column, the row and the value.
    """
    frame = table if isinstance(table, Frame) else frame_of(table)
    try:
        return _prepare(frame, use_case, source, before)
    except TableError as error:
        raise TableError(f"{source}: {error}" if source else str(error)) from error


def _prepare(frame: Frame, use_case: UseCase, source: str, before: date | None) -> TrainingTable:
    if frame.table.empty:
        raise TableError(f"the table for {use_case.name} has no rows")

    def keep(cleaned: Cleaned) -> Cleaned:
        """Leave out rows from `before` on."""
        if before is None or use_case.dated not in cleaned.table:
            return cleaned
        days = parse_days(cleaned.table[use_case.dated], frame)
        iso = days.dt.strftime("%Y-%m-%d").where(days.notna(), cleaned.table[use_case.dated])
        early = ~(days >= pd.Timestamp(before)).to_numpy()
        has_time = any(f.name == use_case.dated and f.kind == "datetime" for f in use_case.features)
        rows = cleaned.table if has_time else cleaned.table.assign(**{use_case.dated: iso})
        return replace(cleaned, table=rows[early].reset_index(drop=True), positions=cleaned.positions[early])

    all_rows = clean_table(frame, use_case)
    if all_rows.table.empty:
        raise TableError(f"clean of use_cases/{use_case.name}.py dropped all {len(frame.table):,} rows of the table")
    cleaned = keep(all_rows)
    if cleaned.table.empty:
        raise TableError(
            f"{use_case.dated}: all {len(all_rows.table):,} rows are dated {before} or later, and {use_case.name} is "
            "trained on earlier months only"
        )
    notes = [frame.read_as] if frame.read_as else []
    notes += require_columns(cleaned, use_case)
    examined = examine(frame, use_case, cleaned, keep)
    require_no_leak(examined.cleaned, use_case, examined.parents, examined.records, examined.truth)
    clean = examined.cleaned.table
    notes += [*examined.notes, *_repeated(clean, use_case, examined.parents)]
    return TrainingTable(
        records=examined.records,
        truth=examined.truth,
        keys=_keys(clean, use_case.key, examined.records),
        source=source or f"sample of {len(clean):,} rows, seed {SAMPLE_SEED}",
        data_hash=hashlib.sha256(pd.util.hash_pandas_object(clean, index=False).to_numpy().tobytes()).hexdigest(),
        weights=np.ones(len(clean)),
        senders=[""] * len(clean),
        times=_times(frame, use_case, examined) if use_case.split_by else None,
        notes=tuple(notes),
        target_name=_raw_name(use_case.target, examined.parents),
        key_name=_raw_name(use_case.key, examined.parents),
        outcomes=_name_outcomes(frame, use_case, examined),
    )


def _times(frame: Frame, use_case: UseCase, examined: Examined) -> NDArray[Any]:
    """Return the time of each row. Raises TableError for a cell that is none, with its row."""
    column = examined.cleaned.table[use_case.split_by]
    name = _raw_name(use_case.split_by, examined.parents)
    times = read_times(column, day_order(column, frame, name if name in frame.table else None))
    if (bad := np.flatnonzero(np.isnat(times) if times.dtype.kind == "M" else np.isnan(times))).size:
        position = int(examined.cleaned.positions[bad[0]])
        row = f"row {frame.rows[position]}" if position >= 0 else f"row {bad[0] + 1} of what clean returns"
        more = f", and so have {len(bad) - 1:,} more" if len(bad) > 1 else ""
        raise TableError(
            f"{name}: {row} has {write(column.iloc[bad[0]])}{more}, but rows are split by this column, so that each "
            f"needs a day, a time or a number: drop such rows in clean of use_cases/{use_case.name}.py"
        )
    return times


def _raw_name(name: str, parents: Mapping[str, tuple[str, ...]]) -> str:
    return " and ".join(parents.get(name, ())) or name


def _repeated(clean: pd.DataFrame, use_case: UseCase, parents: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield what a person should know about rows without a key and about copies."""
    if use_case.key in clean and (without := int(clean[use_case.key].isna().sum())):
        name = _raw_name(use_case.key, parents)
        yield f"{name}: {without:,} of {len(clean):,} rows have none, and are told apart by their content"
    if copies := int(clean.duplicated().sum()):
        yield f"{copies:,} of {len(clean):,} rows are copies of another row"


def _name_outcomes(frame: Frame, use_case: UseCase, examined: Examined) -> dict[float, str]:
    """Return each class as the raw table has it, where it has one word for it."""
    parents = examined.parents.get(use_case.target, ())
    if use_case.task == "amount" or len(parents) != 1 or (examined.cleaned.positions < 0).any():
        return {}
    classes, rows = np.unique(examined.truth, return_index=True)
    cells = frame.table[parents[0]].iloc[examined.cleaned.positions[rows]]
    return {float(outcome): write(cell) for outcome, cell in zip(classes, cells, strict=True)}


def split_rows(table: TrainingTable, use_case: UseCase, seed: int) -> NDArray[np.int8]:
    """Return the split of each row, (n,), by its time if the use case says so, otherwise by the hash of its key.

    Raises:
        TableError: there are too few different times.
    """
    if table.times is None:
        return assign_splits(table.keys, seed, use_case.split)
    return split_by_time(table.times, use_case.split)


def assign_splits(keys: list[str], seed: int, shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Return the split of each row, (n,): TRAIN, VALID or TEST.

    The split follows from a hash of the row's key, so a key stays in its split in every later table.
    """
    hashes = [int.from_bytes(hashlib.blake2b(f"{seed}:{k}".encode(), digest_size=8).digest()) for k in keys]
    position = np.array(hashes, dtype=np.float64) / 2.0**64
    return np.searchsorted(np.cumsum(shares), position, side="right").astype(np.int8)


def _keys(clean: pd.DataFrame, key: str, records: list[dict[str, Any]]) -> list[str]:
    """Return the key of each row as text.

    A row without a key is its own key, by its record. Otherwise all rows without a key would land in the same split.
    """
    if key not in clean:
        return [content_key(record) for record in records]
    return [
        content_key(record) if pd.isna(value) else key_text(value)
        for value, record in zip(clean[key], records, strict=True)
    ]


def key_text(value: Any) -> str:
    """Return a key as text. 7, 7.0, "7" and "7.0" are one key.

    One missing key turns a column of integers into floats, and clients send numbers as text.
    """
    text = str(value).strip()
    whole, point, zeros = text.partition(".")
    return whole if point and whole.lstrip("-").isdigit() and not zeros.strip("0") else text


def content_key(record: Mapping[str, Any]) -> str:
    """Return the key of a checked record that has no other: a hash of its values, where 7 and 7.0 are one value.

    The outcome is not part of it, because the same record with another outcome is the same person or thing.
    """
    values = {k: float(v) if isinstance(v, int | float) else v for k, v in record.items() if v is not None}
    return hashlib.blake2b(orjson.dumps(values, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def assign_folds(keys: list[str], seed: int) -> NDArray[np.int8]:
    """Return the fold of each row, (n,), by the hash of its key: 0 to FOLDS - 1."""
    return assign_splits(keys, seed + 1_000_003, (1 / FOLDS,) * (FOLDS - 1))


def describe_split(table: TrainingTable, use_case: UseCase, seed: int) -> str:
    """Return what decides the side of a row."""
    if table.times is None:
        return f"seed {seed}, by {use_case.key or 'content'}"
    return f"by time ({use_case.split_by}){_TESTED}{first_tested(table.times, use_case.split)}"


_TESTED = ", tested from "


def knows_test_rows(theirs: str, ours: str) -> bool:
    """Return whether a model of the split `theirs` may have been trained on rows that judge models of the split `ours`.

    By time, it knows none if its own test rows begin no later: it was trained on earlier rows than ours.
    """
    how, _, their_first = theirs.partition(_TESTED)
    our_how, _, our_first = ours.partition(_TESTED)
    if their_first and our_first and how == our_how:
        return not is_not_later(their_first, our_first)
    return theirs != ours


def _read_file(source: str) -> bytes:
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise TableError(f"cannot read the table at {source}: {error.strerror}; set DATA to where it is") from error


def _read_s3(source: str, endpoint: str) -> bytes:
    parts = urlsplit(source)
    try:
        client = aws_client("s3", endpoint)
        content: bytes = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
    except (BotoCoreError, ClientError) as error:
        advice = "; `make init_aws` uploads your table" if isinstance(error, ClientError) else ""
        raise TableError(f"cannot read the table at {source}: {error}{advice}") from error
    return content
