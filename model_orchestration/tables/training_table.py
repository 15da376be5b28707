"""Raw tables in, checked records out: a table is read here, and one that cannot be trained on is refused here."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from scorehouse.aws import aws_client
from scorehouse.errors import TableError
from scorehouse.scoring.schema import FieldError, RecordSchema, Rejected
from scorehouse.tables.frames import read_frame
from scorehouse.usecase import UseCase

SAMPLE_SEED = 1
SPLIT_TAG = "split"  # of a run: what decided the sides of its rows
TRAIN, VALID, TEST = 0, 1, 2
SPLITS = ("training", "validation", "test")  # names of TRAIN, VALID and TEST
Faults = dict[str, list[str]]  # column -> what is wrong with it, one entry a row


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A table that can be trained on.

    `records` are n records without the target, as the schema returns them: checked once, never again.
    `truth`, `keys`, `weights` and `senders` have n entries each. A row's sender is who sent its outcome, and empty for
    a row of the table itself. `source` and `data_hash` say which table it was.
    """

    records: list[dict[str, Any]]
    truth: NDArray[np.float64]
    keys: list[str]
    source: str
    data_hash: str
    weights: NDArray[np.float64]
    senders: list[str]


def read_table(source: str, use_case: UseCase, s3_endpoint: str = "") -> pd.DataFrame:
    """Return the raw table at `source` (a path or s3://bucket/key, CSV or Parquet), or a sample if `source` is empty.

    Raises:
        TableError: the table does not exist or cannot be read, or there is neither a table nor a sample.
        UseCaseError: the page's `sample` fails.
    """
    if not source:
        if use_case.sample is None:
            raise TableError(f"{use_case.name} has no sample to train on: set DATA to your table (CSV or Parquet)")
        return pd.DataFrame(use_case.draw_sample(use_case.sample_rows, SAMPLE_SEED))
    content = _read_s3(source, s3_endpoint) if source.startswith("s3://") else _read_file(source)
    return read_frame(content, source, use_case.features).table


def prepare(table: pd.DataFrame, use_case: UseCase, source: str = "", before: date | None = None) -> TrainingTable:
    """Clean `table`, leave out rows dated `before` or later (if rows have a date), and check each remaining row once.

    Raises:
        TableError: a column is missing, or a value is not allowed. The message names each column and its first bad
            rows.
    """
    try:
        clean = use_case.clean(table)
        if before is not None and use_case.dated in clean:
            clean = clean[~(_parse_days(clean[use_case.dated]) >= pd.Timestamp(before))]
        clean = clean.reset_index(drop=True)
        truth = pd.to_numeric(clean[use_case.target], errors="coerce").to_numpy(dtype=float)
    except (KeyError, AttributeError) as error:
        raise TableError(
            f"the table has no column that {use_case.name} needs: {error}; "
            f"its columns are {', '.join(map(str, table.columns[:40]))}"
        ) from error
    except (TypeError, ValueError) as error:
        raise TableError(f"the table contains a value that {use_case.name} cannot read: {error}") from error
    names = [f.name for f in use_case.features if f.name in clean]
    records, faults = _check(_to_records(clean[names]), RecordSchema(use_case.features))
    faults |= _check_truth(clean, truth, use_case) | _check_days(clean, use_case)
    if faults or clean.empty:
        raise TableError(_describe_faults(use_case.name, len(clean), faults))
    return TrainingTable(
        records=records,
        truth=truth,
        keys=_keys(clean, use_case.key, records),
        source=source or f"sample of {len(clean):,} rows, seed {SAMPLE_SEED}",
        data_hash=hashlib.sha256(pd.util.hash_pandas_object(clean, index=False).to_numpy().tobytes()).hexdigest(),
        weights=np.ones(len(clean)),
        senders=[""] * len(clean),
    )


def assign_splits(keys: list[str], seed: int, shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Return the split of each row, (n,): TRAIN, VALID or TEST.

    The split follows from a hash of the row's key, so a key stays in its split in every later table.
    """
    hashes = [int.from_bytes(hashlib.blake2b(f"{seed}:{k}".encode(), digest_size=8).digest()) for k in keys]
    position = np.array(hashes, dtype=np.float64) / 2.0**64
    return np.searchsorted(np.cumsum(shares), position, side="right").astype(np.int8)


def _to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a record of plain Python values for each row, with None in the gaps."""
    # One missing value turns a whole column of codes into 1.0, 2.0, …: convert_dtypes makes them integers again.
    frame = frame.convert_dtypes(convert_string=False)
    columns = frame.astype(object).where(frame.notna(), None).to_dict("list")
    # By columns it takes half the time of to_dict("records").
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]  # type: ignore[arg-type]


def _check(records: list[dict[str, Any]], schema: RecordSchema) -> tuple[list[dict[str, Any]], Faults]:
    """Return the records as a door checks them, and what is wrong with those that the schema rejects."""
    checked: list[dict[str, Any]] = []
    faults: Faults = defaultdict(list)
    for i, record in enumerate(records):
        result = schema.check(record)
        if isinstance(result, Rejected):
            for error in result.errors:
                faults[error.field].append(f"row {i}: {_describe(error)}")
        else:
            checked.append(result)
    return checked, faults


def _check_truth(clean: pd.DataFrame, truth: NDArray[np.float64], use_case: UseCase) -> Faults:
    column = clean[use_case.target]
    bad = ~np.isfinite(truth)
    if use_case.task == "binary":
        bad |= ~np.isin(truth, (0, 1))
    faults = [f"row {i}: {_plain(column.iloc[i])!r} is not a valid outcome" for i in np.flatnonzero(bad)]
    return {use_case.target: faults} if faults else {}


def _check_days(clean: pd.DataFrame, use_case: UseCase) -> Faults:
    if not use_case.dated or use_case.dated not in clean:
        return {}
    column = clean[use_case.dated]
    bad = np.flatnonzero(_parse_days(column).isna())
    faults = [f"row {i}: {_plain(column.iloc[i])!r} is not a date (YYYY-MM-DD)" for i in bad]
    return {use_case.dated: faults} if faults else {}


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python value that people recognize: nan instead of np.float64(nan)."""
    return value.item() if isinstance(value, np.generic) else value


def _parse_days(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the days of a column of dates or of text YYYY-MM-DD; NaT for anything else."""
    return pd.to_datetime(column.astype(str).str[:10], format="%Y-%m-%d", errors="coerce")


def _describe(error: FieldError) -> str:
    if error.problem == "is missing":
        return "the value is missing"
    shown = "an empty value" if error.value is None else repr(error.value)
    return f"{shown} {error.problem} (expected {error.allowed})"


def _describe_faults(name: str, rows: int, faults: Faults) -> str:
    if not rows:
        return f"the table for {name} has no rows"
    lines = [
        f"  {column}: {_count(len(bad))} invalid, for example {'; '.join(bad[:3])}" for column, bad in faults.items()
    ]
    return f"the table for {name} contains invalid values (rows are counted from 0):\n" + "\n".join(lines)


def _count(rows: int) -> str:
    return "1 row is" if rows == 1 else f"{rows:,} rows are"


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


def describe_split(use_case: UseCase, seed: int) -> str:
    """Return what decides the side of a row. Models with another split were trained on rows that judge this one."""
    return f"seed {seed}, by {use_case.key or 'content'}"


def _read_file(source: str) -> bytes:
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise TableError(f"cannot read the table at {source}: {error.strerror}") from error


def _read_s3(source: str, endpoint: str) -> bytes:
    parts = urlsplit(source)
    try:
        client = aws_client("s3", endpoint)
        content: bytes = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise TableError(f"cannot read the table at {source}: {error}") from error
    return content
