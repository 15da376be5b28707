"""Writes the two Parquet files of a day, a chunk at a time: the rows with their answers, and the rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_orchestration.batch.prediction_log import PREDICTION_ID, chance_columns
from model_orchestration.batch.records import Written, arrow_type, to_typed_column
from model_orchestration.batch.scoring import Scored
from scorehouse.bundles.bundle import Manifest
from scorehouse.errors import TableError
from scorehouse.scoring.schema import FieldError
from scorehouse.tables.columns import is_text
from scorehouse.usecase import Feature

RUN = "model_run_id"
ROW, REASON = "row", "reason"  # columns of the rejected rows: the row's position in the table (from 0), and the reason


class AnswerFiles:
    """The files `scored.parquet` and `rejected.parquet` in a folder. They are complete after the `with` block."""

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        features: Sequence[Feature],
        written: Written,
        manifest: Manifest,
        target: str,
    ):
        """Open both files for applications with the columns of `schema`, those of features `written` so.

        A column of the applications is left out if an added column has the same name.
        """
        self.scored = folder / "scored.parquet"
        self.rejected = folder / "rejected.parquet"
        self._features = {f.name: f for f in features}
        self._written = written
        self._manifest = manifest
        # With a chance comes the class that is more likely.
        self._label = f"predicted_{target}" if manifest.task == "binary" else ""
        added = [
            pa.field(manifest.answer, _answer_type(manifest)),
            *(pa.field(name, pa.float64()) for name in chance_columns(manifest)),
            pa.field(RUN, pa.string()),
            pa.field(PREDICTION_ID, pa.string()),
        ]
        if self._label:
            added.insert(0, pa.field(self._label, pa.int64()))
        added_names = {column.name for column in added}
        self._kept = [name for name in schema.names if name not in added_names]
        kept = [pa.field(name, self._column_type(schema.field(name))) for name in self._kept]
        self._scored_schema = pa.schema([*kept, *added])
        self._rejected_names = [name for name in schema.names if name not in {ROW, REASON}]
        reasons = [pa.field(ROW, pa.int64()), pa.field(REASON, pa.string())]
        self._rejected_schema = pa.schema([*(schema.field(name) for name in self._rejected_names), *reasons])
        self._scored_writer = pq.ParquetWriter(self.scored, self._scored_schema, compression="zstd")
        self._rejected_writer = pq.ParquetWriter(self.rejected, self._rejected_schema, compression="zstd")
        self.rows = 0
        self.scored_rows = 0
        self.rejected_rows = 0

    def add(self, chunk: pa.Table, positions: NDArray[np.int64], scored: Scored, ids: Sequence[str]) -> None:
        """Write each row of a chunk, whose `positions` in the input are given, into one of the files, in order.

        The log keeps the rows under these `ids`.
        """
        rejected = np.array(sorted(scored.rejected), dtype=np.int64)
        accepted = np.ones(chunk.num_rows, dtype=np.bool_)
        accepted[rejected] = False
        answers = scored.answers[accepted]
        if not np.isfinite(answers).all():
            raise TableError("the model predicted NaN or infinity")  # the scorer rejects such rows
        mask = pa.array(accepted)
        self._write_scored(chunk.filter(mask), answers, pa.array(ids, pa.string()).filter(mask))
        if len(rejected):
            reasons = [describe_errors(scored.rejected[int(i)].errors) for i in rejected]
            self._write_rejected(chunk.take(pa.array(rejected)), positions[rejected], reasons)
        self.rows += chunk.num_rows
        self.scored_rows += len(answers)
        self.rejected_rows += len(rejected)

    def check(self) -> None:
        """Compare the finished files with the counts. Raises TableError if a row is missing or written twice."""
        scored = pq.read_metadata(self.scored).num_rows
        rejected = pq.read_metadata(self.rejected).num_rows
        if (scored, rejected) != (self.scored_rows, self.rejected_rows) or scored + rejected != self.rows:
            raise TableError(
                f"{self.rows:,} rows were read, but {scored:,} scored and {rejected:,} rejected rows were written"
            )

    def __enter__(self) -> AnswerFiles:
        """Return the open files."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish both files."""
        self._scored_writer.close()
        self._rejected_writer.close()

    def _write_scored(self, accepted: pa.Table, answers: np.ndarray, ids: Any) -> None:
        columns = [
            to_typed_column(accepted[name].combine_chunks(), self._features.get(name), self._written)
            for name in self._kept
        ]
        if self._label:
            columns.append(pa.array((answers >= 0.5).astype(np.int64)))
        answer_type = self._scored_schema.field(self._manifest.answer).type
        if classes := self._manifest.classes:
            columns.append(pa.array(_named(classes, answers), answer_type))
            columns.extend(pa.array(chances) for chances in answers.T)
        else:
            columns.append(pa.array(answers).cast(answer_type))
        columns.append(pa.array([self._manifest.run_id] * len(answers), pa.string()))
        columns.append(ids)
        self._scored_writer.write_table(pa.Table.from_arrays(columns, schema=self._scored_schema))

    def _write_rejected(self, rejected: pa.Table, rows: np.ndarray, reasons: list[str]) -> None:
        columns = [*rejected.select(self._rejected_names).columns, pa.array(rows), pa.array(reasons, pa.string())]
        self._rejected_writer.write_table(pa.Table.from_arrays(columns, schema=self._rejected_schema))

    def _column_type(self, column: pa.Field) -> Any:
        feature = self._features.get(column.name)
        return arrow_type(feature) if feature and is_text(column.type) else column.type


def _named(classes: list[str | int], chances: NDArray[np.float64]) -> list[str | int]:
    """Return the likeliest class of each row; as text where some classes are text and some are numbers."""
    names = classes if all(isinstance(name, int) for name in classes) else [str(name) for name in classes]
    return [names[place] for place in chances.argmax(axis=1)]


def _answer_type(manifest: Manifest) -> Any:
    if manifest.classes:
        return pa.int64() if all(isinstance(name, int) for name in manifest.classes) else pa.string()
    return pa.int64() if manifest.task == "ordinal" else pa.float64()


def describe_errors(errors: Sequence[FieldError]) -> str:
    """Return the reasons for a rejection in one line, with what is allowed. The values are in the row itself."""
    return "; ".join(f"{e.field}: {e.problem} (expected {e.allowed})" if e.field else e.problem for e in errors)
