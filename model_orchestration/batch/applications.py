"""A table of applications read a chunk at a time, CSV or Parquet, its columns held against the features first."""

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
_BLOCK = 2**22  # bytes of text that are parsed at a time
_READ_ROWS = 10_000  # of Parquet at a time


class Applications:
    """One table: `schema`, and its rows by `chunks`; `text` says that every cell is text still (CSV)."""

    def __init__(self, file: Path, name: str, features: Sequence[Feature]):
        """Open it. Raises TableError where it is no table, or lacks columns: each is named."""
        self._name = name
        self.text = not name.endswith(".parquet")
        try:
            self._open(file)
            self._check(features)
        except (pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
            raise TableError(f"{name} cannot be read as a table: {_first_line(error)}") from error

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are read; text in CSV."""
        return self._schema

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
        """Yield the rows in order, `rows` at a time. Raises TableError where the file or a line is torn."""
        try:
            for chunk in _regrouped(self._batches, self._schema, rows):
                self._given += chunk.num_rows
                yield chunk
        except (pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
            raise TableError(f"{self._name} cannot be read as a table: {_first_line(error)}") from error

    def done(self) -> float:
        """Return the share of the table that was read so far, 0 to 1: of its rows, or of the bytes of a CSV."""
        if self._rows is not None:
            return self._given / self._rows if self._rows else 1.0
        return min(1.0, float(self._source.tell()) / self._size) if self._size else 1.0

    def carried(self, features: Sequence[Feature]) -> list[str]:
        """Return the columns that are handed on and not scored."""
        known = {f.name for f in features}
        return [name for name in self._schema.names if name not in known]

    def _open(self, file: Path) -> None:
        self._size, self._given, self._rows = file.stat().st_size, 0, None
        self._source = pa.OSFile(str(file))
        if not self.text:
            table = pq.ParquetFile(self._source, pre_buffer=False)  # else all that was read is kept to the end
            self._rows = table.metadata.num_rows
            self._schema = table.schema_arrow.remove_metadata()
            self._batches: Iterable[pa.RecordBatch] = table.iter_batches(_READ_ROWS)
            return
        names, separator = _header(file)
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
        self._schema, self._batches = reader.schema, reader

    def _check(self, features: Sequence[Feature]) -> None:
        names = self._schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TableError(f"{self._name} has a column twice: {', '.join(twice)}")
        missing = [f.name for f in features if f.required and f.name not in names]
        if missing:
            spare = KnownNames(self.carried(features))
            lines = [f"  {name}{_perhaps(spare, name)}" for name in missing]
            raise TableError(f"{self._name} lacks columns that every application must have:\n" + "\n".join(lines))


def _perhaps(spare: KnownNames, name: str) -> str:
    try:
        return f": is it the column {spare.nearest(name)!r}?"
    except ValueError:  # no column is left
        return ""


def _header(file: Path) -> tuple[list[str], str]:
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as content:
        first = content.readline(2**20).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = max(",;\t|", key=first.count)
    return [name.strip('"') for name in first.split(separator)], separator


def _regrouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held, schema)
            yield table.slice(0, rows).combine_chunks()
            held, count = table.slice(rows).to_batches(), count - rows
    if count:
        yield pa.Table.from_batches(held, schema).combine_chunks()


def _first_line(error: Exception) -> str:
    """What is wrong, without the row's own content, which may be personal."""
    return str(error).partition("\n")[0].partition(", got ")[0][:200]
