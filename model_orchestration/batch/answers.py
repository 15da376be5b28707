"""Two Parquet files of a day, written a chunk at a time: the rows with their answers, and those that were rejected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_orchestration.batch.records import arrow_type, typed
from model_orchestration.batch.scoring import Scored
from scorehouse.bundles.bundle import Manifest
from scorehouse.errors import TableError
from scorehouse.usecase import Feature

RUN = "model_run_id"
ROW, REASON = "row", "reason"  # of rejected rows: the place in the table, the first is 0; and why


class Answers:
    """The files `scored.parquet` and `rejected.parquet` in a folder; whole once it was left without an error."""

    def __init__(
        self, folder: Path, schema: pa.Schema, features: Sequence[Feature], text: bool, made: Manifest, target: str
    ):
        """Open both. A column of the applications whose name an answer's column takes is not handed on."""
        self.scored, self.rejected = folder / "scored.parquet", folder / "rejected.parquet"
        self._features, self._text, self._made = {f.name: f for f in features}, text, made
        # A chance comes with the class that is likelier.
        self._label = f"predicted_{target}" if made.task == "binary" else ""
        kind = pa.int64() if made.task == "ordinal" else pa.float64()
        added = [(self._label, pa.int64())] if self._label else []
        added += [(made.answer, kind), (RUN, pa.string())]
        new = {name for name, _ in added}
        self._kept = [name for name in schema.names if name not in new]
        kept = [pa.field(n, self._kind(schema.field(n))) for n in self._kept]
        self._schema = pa.schema([*kept, *(pa.field(n, k) for n, k in added)])
        self._refused = [name for name in schema.names if name not in {ROW, REASON}]
        beside = [(ROW, pa.int64()), (REASON, pa.string())]
        self._rejected_schema = pa.schema([*(schema.field(n) for n in self._refused), *beside])
        self._answered = pq.ParquetWriter(self.scored, self._schema, compression="zstd")
        self._others = pq.ParquetWriter(self.rejected, self._rejected_schema, compression="zstd")
        self.rows, self.count, self.rejections = 0, 0, 0

    def add(self, chunk: pa.Table, found: Scored) -> None:
        """Write a chunk's rows, each into one of the files, in their order."""
        good = np.ones(chunk.num_rows, dtype=np.bool_)
        places = np.array(sorted(found.rejected), dtype=np.int64)
        good[places] = False
        answers = found.answers[good]
        if not np.isfinite(answers).all():
            raise TableError("the model gave an answer that is no number")  # Scorer rejects such rows
        accepted = chunk.filter(pa.array(good))
        columns = [self._column(accepted, name) for name in self._kept]
        if self._label:
            columns.append(pa.array((answers >= 0.5).astype(np.int64)))
        columns.append(pa.array(answers).cast(self._schema.field(self._made.answer).type))
        columns.append(pa.array([self._made.run_id] * len(answers), pa.string()))
        self._answered.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        if len(places):
            refused = chunk.select(self._refused).take(pa.array(places))
            reasons = [told(found.rejected[int(place)].errors) for place in places]
            beside = [pa.array(places + self.rows), pa.array(reasons, pa.string())]
            self._others.write_table(pa.Table.from_arrays([*refused.columns, *beside], schema=self._rejected_schema))
        self.rows += chunk.num_rows
        self.count += len(answers)
        self.rejections += len(places)

    def check(self) -> None:
        """Read back how many rows the finished files hold. Raises TableError where a row is missing or doubled."""
        held = pq.read_metadata(self.scored).num_rows, pq.read_metadata(self.rejected).num_rows
        if held != (self.count, self.rejections) or sum(held) != self.rows:
            raise TableError(f"{self.rows:,} rows were read, but {held[0]:,} and {held[1]:,} rejected were written")

    def __enter__(self) -> Answers:
        """Write."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish both files."""
        self._answered.close()
        self._others.close()

    def _kind(self, field: pa.Field) -> Any:
        feature = self._features.get(field.name)
        return arrow_type(feature) if feature and self._text else field.type

    def _column(self, accepted: pa.Table, name: str) -> Any:
        return typed(accepted[name].combine_chunks(), self._features.get(name), self._text)


def told(errors: Sequence[Any]) -> str:
    """Return a row's reasons in one line, with what is allowed; its values stand beside them."""
    return "; ".join(f"{e.field}: {e.problem}, {e.allowed}" if e.field else e.problem for e in errors)
