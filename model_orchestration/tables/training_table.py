"""Raw tables in, checked records out: where a table is read, and where one that cannot be trained on is refused."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from scorehouse.aws import aws_client
from scorehouse.errors import TableError
from scorehouse.scoring.schema import FieldError, RecordSchema, Rejected
from scorehouse.tables import parse_table
from scorehouse.usecase import UseCase

SAMPLE_SEED = 1
TRAIN, VALID, TEST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A cleaned, checked table: n records without the target; truth, keys and weights (n,); where they came from."""

    records: list[dict[str, Any]]
    truth: NDArray[np.float64]
    keys: list[str]
    source: str
    data_hash: str
    weights: NDArray[np.float64]


def read_table(source: str, use_case: UseCase, s3_endpoint: str = "") -> pd.DataFrame:
    """Return the raw table at `source` (a path or s3://bucket/key; CSV or Parquet), or a sample if empty.

    Raises:
        TableError: it is not there, or cannot be read.
    """
    if not source:
        return pd.DataFrame(use_case.sample(use_case.sample_rows, SAMPLE_SEED, 0.0))
    content = _s3(source, s3_endpoint) if source.startswith("s3://") else _file(source)
    return parse_table(content, source)


def prepare(table: pd.DataFrame, use_case: UseCase, source: str = "", before: date | None = None) -> TrainingTable:
    """Clean `table`, leave out what is dated `before` or later (where rows are dated), and check the rest.

    Raises:
        TableError: a column is missing, or values are not allowed; names each column and its first bad rows.
    """
    try:
        clean = use_case.clean(table)
        if before is not None and use_case.dated in clean:
            clean = clean[~(_days(clean[use_case.dated]) >= pd.Timestamp(before))]
        clean = clean.reset_index(drop=True)
        truth = pd.to_numeric(clean[use_case.target], errors="coerce").to_numpy(dtype=float)
    except (KeyError, AttributeError) as error:
        raise TableError(
            f"the table lacks what {use_case.name} needs: {error}; it has {', '.join(map(str, table.columns[:40]))}"
        ) from error
    except (TypeError, ValueError) as error:
        raise TableError(f"the table holds what {use_case.name} cannot read: {error}") from error
    names = [f.name for f in use_case.features if f.name in clean]
    records = _records(clean[names])
    faults = _faults(records, RecordSchema(use_case.features))
    bad_truth = np.flatnonzero(~np.isfinite(truth) | ((use_case.task == "binary") & ~np.isin(truth, (0, 1))))
    if len(bad_truth):
        faults[use_case.target] = [f"row {i}: {clean[use_case.target].iloc[i]!r} is no outcome" for i in bad_truth]
    if use_case.dated and use_case.dated in clean:
        undated = np.flatnonzero(_days(clean[use_case.dated]).isna())
        if len(undated):
            faults[use_case.dated] = [
                f"row {i}: {clean[use_case.dated].iloc[i]!r} is no date as YYYY-MM-DD" for i in undated
            ]
    if faults or clean.empty:
        raise TableError(_report(use_case.name, len(clean), faults))
    keys = _keys(clean, use_case.key)
    digest = hashlib.sha256(pd.util.hash_pandas_object(clean, index=False).to_numpy().tobytes()).hexdigest()
    source = source or f"sample of {len(clean):,} rows, seed {SAMPLE_SEED}"
    return TrainingTable(records, truth, keys, source, digest, np.ones(len(clean)))


def _days(column: pd.Series[Any]) -> pd.Series[Any]:
    """The days of dates, or of text YYYY-MM-DD; NaT where it is neither."""
    return pd.to_datetime(column.astype(str).str[:10], format="%Y-%m-%d", errors="coerce")


def sides(keys: list[str], seed: int, shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Return each row's side, (n,): TRAIN, VALID or TEST; by a hash of its key, so it stays for ever."""
    hashed = [int.from_bytes(hashlib.blake2b(f"{seed}:{k}".encode(), digest_size=8).digest()) for k in keys]
    place = np.array(hashed, dtype=np.float64) / 2.0**64
    return np.searchsorted(np.cumsum(shares), place, side="right").astype(np.int8)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    frame = frame.convert_dtypes(convert_string=False)  # one missing value made a whole column of codes 1.0, 2.0, ...
    return frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[return-value]


def _faults(records: list[dict[str, Any]], schema: RecordSchema) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = defaultdict(list)
    for i, record in enumerate(records):
        if isinstance(checked := schema.check(record), Rejected):
            for error in checked.errors:
                faults[error.field].append(f"row {i}: {_in_words(error)}")
    return faults


def _in_words(error: FieldError) -> str:
    return f"{error.value!r} {error.problem}, but {error.allowed}" if error.value is not None else f"{error.problem}"


def _report(name: str, rows: int, faults: dict[str, list[str]]) -> str:
    if not rows:
        return f"the table for {name} has no rows"
    lines = [f"  {column}: {len(rows_)} rows, first {'; '.join(rows_[:3])}" for column, rows_ in faults.items()]
    return f"the table for {name} has values that cannot be trained on:\n" + "\n".join(lines)


def _keys(clean: pd.DataFrame, key: str) -> list[str]:
    """Each row's key as text; the row's own hash where it has none, lest all such rows fall on one side together."""
    alike = clean.apply(lambda c: c.astype(float) if is_numeric_dtype(c) else c.astype(object).where(c.notna(), ""))
    rows = [str(h) for h in pd.util.hash_pandas_object(alike, index=False)]  # a gap makes integers floats: hashed alike
    if key not in clean:
        return rows
    return [row if pd.isna(k) else _key(k) for k, row in zip(clean[key], rows, strict=True)]


def _key(value: Any) -> str:
    """A key as text: 7 and 7.0 are one key, for one missing key makes a whole column of integers floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _file(source: str) -> bytes:
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise TableError(f"there is no table at {source}: {error.strerror}") from error


def _s3(source: str, endpoint: str) -> bytes:
    parts = urlsplit(source)
    try:
        client = aws_client("s3", endpoint)
        content: bytes = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise TableError(f"there is no table at {source}: {error}") from error
    return content
