"""Scores a day's applications: find, read, score, write, check, and only then publish. Repeating it is safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa

from model_orchestration.batch.answers import AnswerFiles
from model_orchestration.batch.applications import Applications
from model_orchestration.batch.places import Place, find_applications, output_names
from model_orchestration.batch.prediction_log import log_answers, prediction_ids
from model_orchestration.batch.records import Written
from model_orchestration.batch.scoring import Model, Scored, load_model
from scorehouse.errors import TableError
from scorehouse.stores.store import Store
from scorehouse.tables.table import Chunk
from scorehouse.usecase import UseCase

WaitForChunk = Callable[[], Scored]  # waits until a submitted chunk is scored
Submit = Callable[[Model, pa.Table, Written], WaitForChunk]
Advance = Callable[[float, int], None]  # takes the share of the table that is done, 0 to 1, and the rows
EXAMPLES = 3  # rejected rows that a report shows for each field


@dataclass(slots=True)
class Report:
    """The result of a day: how many rows, which run scored them, where they are, and why rows were rejected."""

    day: date
    source: str
    model_run_id: str
    unused_columns: list[str]
    read_as: str = ""  # how the file was read
    written_to: tuple[str, ...] = ()
    rows: int = 0
    scored: int = 0
    rejected: int = 0
    conflicts: int = 0  # rows whose id is in the log with another record
    rejections: dict[str, int] = field(default_factory=dict)  # field -> rows
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add_rejections(self, scored: Scored, rows: Sequence[int]) -> None:
        """Count the rejected rows of a chunk; `rows` are the rows of the file that its rows are."""
        for position, rejected in scored.rejected.items():
            for error in rejected.errors:
                self.rejections[error.field] = self.rejections.get(error.field, 0) + 1
                examples = self.examples.setdefault(error.field, [])
                if len(examples) < EXAMPLES:
                    examples.append(f"row {rows[position]:,} {error.problem} (expected {error.allowed})")

    def __str__(self) -> str:
        """Return the report as lines of text."""
        lines = [f"{self.day}: {self.rows:,} rows of {self.source}, {self.scored:,} scored by run {self.model_run_id}"]
        lines += [self.read_as] if self.read_as else []
        if self.rejected:
            lines.append(f"{self.rejected:,} rejected:")
        for name, count in sorted(self.rejections.items(), key=lambda item: -item[1]):
            lines.append(f"  {name or 'the record'}: {count:,} rows, {'; '.join(self.examples[name])}")
        if self.conflicts:
            lines.append(
                f"{self.conflicts:,} rows are in the prediction log with other values, which it keeps: use new "
                "values of prediction_id for changed rows"
            )
        if self.unused_columns:
            lines.append(f"copied to the output but not scored: {', '.join(self.unused_columns[: EXAMPLES * 3])}")
        return "\n".join([*lines, *(f"-> {file}" for file in self.written_to)])


def score_day(
    use_case: UseCase,
    place: Place,
    day: date,
    model: Model,
    store: Store,
    submit: Submit,
    in_flight: int,
    advance: Advance,
    now: datetime,
) -> Report:
    """Score the applications of `day` at `place`. At most `in_flight` chunks are held at a time.

    Nothing is logged in `store` before everything is written and counted, and nothing is published before everything is
    logged. A repeated run scores all rows again, and the same model gives the same answers under the same ids.

    Raises:
        TableError: there are no applications, columns are missing, the file is incomplete, no row can be scored, or
            the answers cannot be written.
        BundleError, RegistryUnavailable: the model cannot be loaded.
        AlreadyRunning: another process is scoring this day.
        StoreUnavailable: the answers cannot be logged.
    """
    bundle, _ = load_model(model)
    try:
        with place.workspace(day) as folder:
            name, file = find_applications(place, day, folder)
            table = Applications(file, name, bundle.features)
            unused = table.unused_columns(bundle.features)
            report = Report(day, f"{place}/{name}", bundle.manifest.run_id, unused)
            columns = [f.name for f in bundle.features if f.name in table.schema.names]
            files = AnswerFiles(folder, table.schema, bundle.features, table.written, bundle.manifest, use_case.target)
            with files:
                submitted = (
                    (chunk, submit(model, chunk.table.select(columns), table.written)) for chunk in table.chunks()
                )
                for chunk, wait in _submit_ahead(submitted, in_flight):
                    scored = wait()
                    report.add_rejections(scored, chunk.rows.tolist())
                    positions = chunk.rows - table.first_row
                    ids = prediction_ids(chunk.table, day, report.model_run_id, positions)
                    files.add(chunk.table, positions, scored, ids)
                    advance(table.progress(), files.rows)
            report.read_as = table.read_as
            _check(files, report)
            report.conflicts = log_answers(store, files.scored, bundle.manifest, bundle.features, now)
            _publish(place, files, report)
    except OSError as error:
        raise TableError(f"{place} cannot be written: {error}") from error
    return report


def _check(files: AnswerFiles, report: Report) -> None:
    report.rows = files.rows
    report.scored = files.scored_rows
    report.rejected = files.rejected_rows
    if not report.rows:
        raise TableError(f"{report.source} is empty")
    if not report.scored:
        raise TableError(f"{report.source} has no row that can be scored, so nothing was written\n{report}")
    files.check()


def _publish(place: Place, files: AnswerFiles, report: Report) -> None:
    scored, rejected = output_names(report.day)
    place.publish(files.rejected, rejected)
    place.publish(files.scored, scored)  # last: whoever sees this file knows that the day is complete
    report.written_to = (f"{place}/{scored}", f"{place}/{rejected}")


def _submit_ahead(submitted: Iterable[tuple[Chunk, WaitForChunk]], most: int) -> Iterator[tuple[Chunk, WaitForChunk]]:
    """Yield the chunks in order, with at most `most` of them submitted at a time."""
    waiting: deque[tuple[Chunk, WaitForChunk]] = deque()
    for chunk in submitted:
        waiting.append(chunk)
        if len(waiting) >= most:
            yield waiting.popleft()
    yield from waiting
