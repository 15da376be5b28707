"""Opens a day's table of applications, and checks that it has the columns that every application must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from model_orchestration.tables.faults import closest
from scorehouse.errors import TableError
from scorehouse.tables.cells import Notation
from scorehouse.tables.table import Chunk, Table
from scorehouse.usecase import Feature

CHUNK_ROWS = 100_000


class Applications:
    """One table: its `schema`, its rows in `chunks`, and how the columns of the features are `written`, by name."""

    def __init__(self, file: Path, name: str, features: Sequence[Feature]):
        """Open `file`, called `name` in messages. Raises TableError if it is not a table or columns are missing."""
        self._name = name
        try:
            self._file = file.open("rb")
        except OSError as error:
            raise TableError(f"{name} cannot be read: {error.strerror}") from error
        try:
            self._table = Table(self._file, name)
            self._check(features)
        except BaseException:
            self._file.close()
            raise
        self.written: dict[str, Notation] = {
            f.name: self._table.notations.of(f) for f in features if f.name in self.schema.names
        }

    @property
    def first_row(self) -> int:
        """The row of the file that a person sees for the first application: 2 in a CSV, below the names."""
        return self._table.first_row

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are read: text, unless the file is Parquet."""
        return self._table.schema

    @property
    def read_as(self) -> str:
        """How the file was read, in one line; complete when all chunks were read."""
        return self._table.read_as

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order, `rows` at a time. Raises TableError if the file or a row is torn."""
        with self._file:
            yield from self._table.chunks(rows)

    def progress(self) -> float:
        """Return the share of the table that has been read, 0 to 1."""
        return 1.0 if self._file.closed else self._table.progress()

    def unused_columns(self, features: Sequence[Feature]) -> list[str]:
        """Return the columns that are no features: they are copied to the answers but not scored."""
        known = {f.name for f in features}
        return [name for name in self.schema.names if name not in known]

    def _check(self, features: Sequence[Feature]) -> None:
        names = self.schema.names
        known = {f.name for f in features}
        nested = [field for field in self.schema if field.name in known and pa.types.is_nested(field.type)]
        if nested:
            shown = ", ".join(f"{field.name} ({field.type})" for field in nested[:5])
            raise TableError(f"{self._name} has nested columns, which cannot be scored: {shown}")
        missing = [f.name for f in features if f.required and f.name not in names]
        if missing:
            unused = self.unused_columns(features)
            nearest = {name: closest(name, unused) for name in missing}
            noun = "column" if len(missing) == 1 else "columns"
            shown = ", ".join(f"{n!r} (did you mean {found!r}?)" if found else repr(n) for n, found in nearest.items())
            raise TableError(f"{self._name} has no {noun} {shown}, which every application must have")
