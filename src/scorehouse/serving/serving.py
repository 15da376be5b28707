"""What every door does between parsing and answering: score, give ids, journal, and only then answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import repeat
from threading import Lock
from typing import Any, NamedTuple

import orjson

from scorehouse import metrics
from scorehouse.bundles.bundle import Bundle
from scorehouse.errors import JournalError, ScorehouseError
from scorehouse.journal.journal import PredictionLog
from scorehouse.scoring.classes import Classes, to_answer
from scorehouse.scoring.schema import ID_FIELDS, Rejected
from scorehouse.scoring.scorer import Prediction, Scorer
from scorehouse.serving.callers import CallerCounts
from scorehouse.serving.recent_ids import RecentIds, conflict
from scorehouse.serving.rejections import Rejections

NO_MODEL = "no model is loaded yet: set RUN_ID and run `make start-serve`"
_TICK = timedelta(microseconds=1)


class NotServing(ScorehouseError):
    """No model is loaded yet."""


class Answer(NamedTuple):
    """One prediction, the run that made it, and the id under which it is kept."""

    prediction: Prediction
    run_id: str
    prediction_id: str

    def to_json(self, key: str, classes: Classes = ()) -> dict[str, Any]:
        """Return the answer as clients read it, with the prediction under `key` (`Model.answer_key`).

        `classes` are the model's (`Model.classes`).
        """
        prediction, run_id, prediction_id = self
        if classes:
            named = to_answer(key, prediction, classes)
            return {**named, "model_run_id": run_id, "prediction_id": prediction_id}
        return {key: prediction, "model_run_id": run_id, "prediction_id": prediction_id}


@dataclass(frozen=True)
class Model:
    """A verified bundle and its scorer: what a swap replaces, in one assignment."""

    bundle: Bundle
    scorer: Scorer

    @cached_property
    def run_id(self) -> str:
        """The run that made it."""
        return self.bundle.manifest.run_id

    @cached_property
    def answer_key(self) -> str:
        """The key of the prediction in an answer: `churn_probability`."""
        return self.bundle.manifest.answer

    @cached_property
    def classes(self) -> Classes:
        """The names of several classes, in the order of a prediction's chances; empty for other tasks."""
        return tuple(self.bundle.manifest.classes)

    def to_json(self, answer: Answer) -> dict[str, Any]:
        """Return an answer of this model as clients read it."""
        return answer.to_json(self.answer_key, self.classes)


def _new_ids(count: int) -> list[str]:
    digits = os.urandom(16 * count).hex()  # one system call for a whole batch
    if count == 1:
        return [digits]
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]


def _is_test(record: Any) -> bool:
    """Whether a record that may be anything says that it is a test."""
    return isinstance(record, Mapping) and record.get("test") is True


_now = partial(datetime.now, UTC)


class Serving:
    """One door's model and journal. `model` is replaced whole while requests run; each request uses the one it took."""

    def __init__(
        self,
        use_case: str,
        door: str,
        journal: PredictionLog,
        new_ids: Callable[[int], Sequence[str]] = _new_ids,
        now: Callable[[], datetime] = _now,
    ):
        """Serve nothing until `model` is set."""
        self.use_case = use_case
        self.door = door
        self.journal = journal
        self.model: Model | None = None
        self._new_ids = new_ids
        self._now = now
        self._lock = Lock()
        self._last_outcome = datetime.min.replace(tzinfo=UTC)
        self._recent = RecentIds()
        self._predicted = metrics.PREDICTIONS.labels(use_case, door)
        self._rejected = metrics.REJECTED.labels(use_case, door)
        self._rejections = Rejections(use_case, door, self._write)
        self._callers = CallerCounts(use_case, door)

    def require_model(self) -> Model:
        """Return the serving model. Raises NotServing."""
        if self.model is None:
            raise NotServing(NO_MODEL)
        return self.model

    def answer(
        self,
        records: Sequence[Mapping[str, Any]],
        ids: Sequence[str] | None = None,
        all_or_none: bool = False,
        model: Model | None = None,
        caller: str | None = None,
    ) -> list[Answer | Rejected]:
        """Return each record's answer, journalled, or what is wrong with it, in order.

        `ids` are used for records without a prediction_id of their own; without `ids`, new ones are made. With
        `all_or_none` one record that cannot be scored leaves none answered: no prediction is journalled or counted.
        `model` is for code that must know which one answers; without it, it is the serving model. `caller` names
        the client, where the gateway has said so.

        Raises:
            NotServing: no model is loaded yet.
            JournalError: the predictions are not on disk, so none may be answered.
        """
        model = model or self.require_model()
        now = self._now()
        answers, lines = self._score(model, now, records, repeat(caller), ids)
        if all_or_none and len(lines) != len(answers):
            lines = []
            self._recent.discard(answer.prediction_id for answer in answers if isinstance(answer, Answer))
        predicted = len(lines)
        if predicted != len(answers):
            pairs = [(r, a) for r, a in zip(records, answers, strict=True) if isinstance(a, Rejected)]
            if rejected := [answer for record, answer in pairs if not _is_test(record)]:
                lines.append(self._rejections.add(model.run_id, now, rejected))
            self._rejected.inc(len(pairs))
        self._keep(lines, answers)
        self._predicted.inc(predicted)
        if caller is not None:
            self._callers.count(caller, predicted)
        return answers

    def answer_valid(
        self, records: Sequence[Any], model: Model, callers: Sequence[str | None]
    ) -> list[Answer | Rejected]:
        """Return what `answer` returns, but leave what cannot be scored uncounted: it is given to `answer` again.

        `callers` name each record's client, where the gateway has said so.

        Raises:
            JournalError: as `answer`.
        """
        answers, lines = self._score(model, self._now(), records, callers)
        self._keep(lines, answers)
        self._predicted.inc(len(lines))
        if any(callers):
            for caller, answer in zip(callers, answers, strict=True):
                if caller is not None and isinstance(answer, Answer):
                    self._callers.count(caller, 1)
        return answers

    def _score(
        self,
        model: Model,
        now: datetime,
        records: Sequence[Any],
        callers: Iterable[str | None],
        ids: Sequence[str] | None = None,
    ) -> tuple[list[Answer | Rejected], list[bytes]]:
        """The answers, and the journal lines that must be written before any answer leaves."""
        run_id = model.run_id
        predictions = model.scorer.score(records)
        answers: list[Answer | Rejected] = []
        lines = []
        new_ids = ids or self._new_ids(len(records))
        for record, prediction, id_, caller in zip(records, predictions, new_ids, callers, strict=False):
            if isinstance(prediction, Rejected):
                answers.append(prediction)
                continue
            customer_id, test = None, None
            if "customer_id" in record or "prediction_id" in record or "test" in record:
                test = record.get("test")
                customer_id = record.get("customer_id")
                own_id = record.get("prediction_id")
                id_ = own_id or id_  # noqa: PLW2901
                record = {k: v for k, v in record.items() if k not in ID_FIELDS}  # noqa: PLW2901
                if own_id is not None and not self._recent.claim(id_, record):
                    answers.append(conflict(id_))
                    continue
            line = {  # a document as the store keeps it
                "kind": "prediction",
                "prediction_id": id_,
                "use_case": self.use_case,
                "model_run_id": run_id,
                "created_at": now,
                "door": self.door,
                "record": record,
                "prediction": prediction,
                "customer_id": customer_id,
            }
            if caller is not None:
                line["caller"] = caller
            if test:
                line["test"] = True
            lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            answers.append(Answer(prediction, run_id, id_))
        return answers, lines

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Count what the door itself rejected, because it was not even a record. Raises JournalError."""
        self._rejected.inc(len(rejected))
        if rejected and self.model is not None:
            self._write(self._rejections.add(self.model.run_id, self._now(), rejected))

    def accept_outcomes(self, outcomes: Sequence[Mapping[str, Any]], sender: str | None = None) -> None:
        """Journal checked outcomes (prediction_id, outcome) from the client `sender`. Raises JournalError."""
        timed = zip(outcomes, self._outcome_times(len(outcomes)), strict=True)
        about: dict[str, Any] = {"kind": "outcome", "use_case": self.use_case}
        if sender is not None:
            about["sender"] = sender
        lines = [{**about, **outcome, "outcome_at": at} for outcome, at in timed]
        self._write(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))
        metrics.OUTCOMES.labels(self.use_case).inc(len(outcomes))

    def _outcome_times(self, count: int) -> list[datetime]:
        """Times that always grow, even if the clock steps back, because the latest outcome counts."""
        with self._lock:
            first = max(self._now(), self._last_outcome + _TICK)
            times = [first + i * _TICK for i in range(count)]
            self._last_outcome = times[-1] if times else self._last_outcome
        return times

    def _keep(self, lines: Sequence[bytes], answers: Sequence[Answer | Rejected]) -> None:
        try:
            self._write(b"".join(lines))
        except JournalError:
            self._recent.discard(answer.prediction_id for answer in answers if isinstance(answer, Answer))
            raise

    def _write(self, lines: bytes) -> None:
        try:
            if lines:
                self.journal.append(lines)
        except JournalError:
            metrics.JOURNAL_FAILURES.inc()
            raise
