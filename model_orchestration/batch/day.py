"""A day's applications scored: found, read, scored, written, checked, and only then published; the same each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from model_orchestration.batch.answers import Answers
from model_orchestration.batch.applications import Applications
from model_orchestration.batch.places import Place, find, outputs_of
from model_orchestration.batch.scoring import Model, Scored, loaded
from scorehouse.errors import TableError
from scorehouse.usecase import UseCase

Score = Callable[[Model, pa.Table, bool], Scored]
Waiting = Callable[[], Scored]  # gives what was submitted, once it is there
Submit = Callable[[Model, pa.Table, bool], Waiting]
Advance = Callable[[float, int], None]  # share of the table, rows
NAMED = 3  # rejected rows that a report shows for each field


@dataclass(slots=True)
class Report:
    """What became of a day: how many rows, by which run, where to, and which fields had rows rejected."""

    day: date
    source: str
    model_run_id: str
    carried: list[str]
    to: tuple[str, str] = ("", "")
    rows: int = 0
    scored: int = 0
    rejected: int = 0
    faults: dict[str, int] = field(default_factory=dict)  # field -> rows
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, found: Scored, before: int) -> None:
        """Count the rejected rows of a chunk with `before` rows in front of it."""
        for place, why in found.rejected.items():
            for error in why.errors:
                self.faults[error.field] = self.faults.get(error.field, 0) + 1
                shown = self.examples.setdefault(error.field, [])
                if len(shown) < NAMED:
                    shown.append(f"row {before + place} {error.problem}, {error.allowed}")

    def __str__(self) -> str:
        """Return it for a person."""
        lines = [f"{self.day}: {self.rows:,} rows of {self.source}, {self.scored:,} scored by run {self.model_run_id}"]
        if self.rejected:
            lines.append(f"{self.rejected:,} rejected:")
            worst = sorted(self.faults, key=lambda name: -self.faults[name])
            lines += [f"  {n or 'the record'}: {self.faults[n]:,} rows, {'; '.join(self.examples[n])}" for n in worst]
        if self.carried:
            lines.append(f"handed on and not scored: {', '.join(self.carried[: NAMED * 3])}")
        return "\n".join([*lines, *(f"-> {to}" for to in self.to if to)])


def score_day(
    use_case: UseCase, where: Place, day: date, model: Model, submit: Submit, in_flight: int, advance: Advance
) -> Report:
    """Score the applications of `day` at `where`; at most `in_flight` chunks are held at a time.

    Nothing is published before all of it is written and counted, so that a run that dies leaves what was there; run
    again it does all of it again, and the same rows get the same answers by the same run.

    Raises:
        TableError: there are no applications, they lack columns or are torn, no row of them can be scored, or the
            answers cannot be written.
        BundleError, RegistryUnavailable: the model cannot be loaded.
        AlreadyRunning: another process scores that day.
    """
    bundle, _ = loaded(model)
    try:
        with where.workspace(day) as folder:
            name, file = find(where, day, folder)
            table = Applications(file, name, bundle.features)
            report = Report(day, f"{where}/{name}", bundle.manifest.run_id, table.carried(bundle.features))
            made = bundle.manifest
            with Answers(folder, table.schema, bundle.features, table.text, made, use_case.target) as answers:
                sent = [f.name for f in bundle.features if f.name in table.schema.names]
                submitted = ((chunk, submit(model, chunk.select(sent), table.text)) for chunk in table.chunks())
                for chunk, waiting in _ahead(submitted, in_flight):
                    found = waiting()
                    report.note(found, answers.rows)
                    answers.add(chunk, found)
                    advance(table.done(), answers.rows)
            _publish(where, answers, report)
    except OSError as error:
        raise TableError(f"{where} cannot be written: {error}") from error
    return report


def _publish(where: Place, answers: Answers, report: Report) -> None:
    report.rows, report.scored, report.rejected = answers.rows, answers.count, answers.rejections
    if not report.scored:
        reason = "is empty" if not report.rows else f"has no row that can be scored: nothing is written\n{report}"
        raise TableError(f"{report.source} {reason}")
    answers.check()
    scored, rejected = outputs_of(report.day)
    where.publish(answers.rejected, rejected)
    where.publish(answers.scored, scored)  # last: who sees it knows that the day is done
    report.to = (f"{where}/{scored}", f"{where}/{rejected}")


def _ahead(submitted: Iterable[tuple[pa.Table, Waiting]], most: int) -> Iterator[tuple[pa.Table, Waiting]]:
    """Yield in order, `most` submitted at a time."""
    held: deque[tuple[pa.Table, Waiting]] = deque()
    for one in submitted:
        held.append(one)
        if len(held) >= most:
            yield held.popleft()
    yield from held
