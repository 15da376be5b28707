"""Reads a table of applications, CSV or Parquet, a chunk at a time, after checking that it has the columns."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from scorehouse.errors import TableError
from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Feature

CHUNK_ROWS = 100_000
_BLOCK = 2**22  # bytes of CSV that are parsed at a time
_READ_ROWS = 10_000  # rows of Parquet that are read at a time


class Applications:
    """One table: its `schema` and its rows in `chunks`. `text` says that every cell is still text (CSV)."""

    def __init__(self, file: Path, name: str, features: Sequence[Feature]):
        """Open `file`, called `name` in messages. Raises TableError if it is not a table or columns are missing."""
        self._name = name
        self.text = not name.endswith(".parquet")
        try:
            self._open(file)
            self._check(features)
        except (pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
            raise TableError(f"{name} cannot be read as a table: {_first_line(error)}") from error

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are read: text for CSV."""
        return self._schema

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
        """Yield the rows in order, `rows` at a time. Raises TableError if the file or a line is torn."""
        try:
            for chunk in _regroup(self._batches, self._schema, rows):
                self._rows_read += chunk.num_rows
                yield chunk
        except (pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
            raise TableError(f"{self._name} cannot be read as a table: {_first_line(error)}") from error

    def progress(self) -> float:
        """Return the share of the table that has been read, 0 to 1: of its rows, or of the bytes of a CSV."""
        if self._rows is not None:
            return self._rows_read / self._rows if self._rows else 1.0
        return min(1.0, float(self._source.tell()) / self._size) if self._size else 1.0

    def unused_columns(self, features: Sequence[Feature]) -> list[str]:
        """Return the columns that are no features: they are copied to the answers but not scored."""
        known = {f.name for f in features}
        return [name for name in self._schema.names if name not in known]

    def _open(self, file: Path) -> None:
        self._size = file.stat().st_size
        self._rows_read = 0
        self._rows: int | None = None
        self._source = pa.OSFile(str(file))
        if not self.text:
            table = pq.ParquetFile(self._source, pre_buffer=False)  # otherwise everything that was read stays in memory
            self._rows = table.metadata.num_rows
            self._schema = table.schema_arrow.remove_metadata()
            self._batches: Iterable[pa.RecordBatch] = table.iter_batches(_READ_ROWS)
            return
        names, separator = _read_header(file)
        stream: Any = self._source
        if file.name.endswith(".gz"):
            stream = pa.CompressedInputStream(self._source, "gzip")
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
            ),
        )
        self._schema = reader.schema
        self._batches = reader

    def _check(self, features: Sequence[Feature]) -> None:
        names = self._schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise TableError(f"{self._name} has more than one column named {', '.join(repeated)}")
        missing = [f.name for f in features if f.required and f.name not in names]
        if missing:
            unused = KnownNames(self.unused_columns(features))
            lines = [f"  {name}{_suggest(unused, name)}" for name in missing]
            raise TableError(
                f"{self._name} does not have these columns, which every application must have:\n" + "\n".join(lines)
            )


def _suggest(unused: KnownNames, name: str) -> str:
    try:
        return f"; did you mean the column {unused.nearest(name)!r}?"
    except ValueError:  # there is no unused column
        return ""


def _read_header(file: Path) -> tuple[list[str], str]:
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as content:
        first = content.readline(2**20).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = max(",;\t|", key=first.count)
    return [name.strip('"') for name in first.split(separator)], separator


def _regroup(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Yield tables of exactly `rows` rows, and the rest as the last table."""
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        pending.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(pending, schema)
            yield table.slice(0, rows).combine_chunks()
            pending = table.slice(rows).to_batches()
            count -= rows
    if count:
        yield pa.Table.from_batches(pending, schema).combine_chunks()


def _first_line(error: Exception) -> str:
    """Return what is wrong without the content of the row, which may be personal data."""
    return str(error).partition("\n")[0].partition(", got ")[0][:200]
