"""From a batch of stream records to what is published: answers for `results`, dead letters for `results-errors`."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scorehouse.errors import JournalError
from scorehouse.scoring.schema import FieldError, Rejected
from scorehouse.serving.serving import Answer, Model, NotServing, Serving
from scorehouse.streams.publisher import Entry
from scorehouse.usecase import Envelope

log = logging.getLogger(__name__)
StreamRecord = Mapping[str, Any]  # as GetRecords returns it: SequenceNumber, PartitionKey, Data (bytes)
# An entry may have 1 MiB, and base64 turns three bytes into four: of a longer original, the beginning is kept.
MOST_ORIGINAL_BYTES, MOST_REASON = 700_000, 1_000


@dataclass(frozen=True, slots=True)
class Scored:
    """The entries for a batch, in order: `results[i]` answers `origins[i]`; every other record is in `errors`."""

    results: list[Entry]
    origins: list[StreamRecord]
    errors: list[Entry]


def score(serving: Serving, envelope: Envelope | None, shard: str, records: Sequence[StreamRecord]) -> Scored:
    """Score a batch of `shard`'s records and journal the answers; nothing is published yet.

    A record without an id gets `shard:sequence`, so that scoring it again gives the same bytes.

    Raises:
        NotServing: no model is loaded yet.
        JournalError: the answers are not on disk, so none may be published.
    """
    parsed = [_parse(record["Data"]) for record in records]
    plain = [envelope.unwrap(value) for value in parsed] if envelope else parsed
    model = serving.require_model()
    answers = _answers(serving, model, plain, [f"{shard}:{record['SequenceNumber']}" for record in records])
    scored = Scored([], [], [])
    for record, value, answer in zip(records, parsed, answers, strict=True):
        if isinstance(answer, Rejected):
            scored.errors.append(error_entry(shard, record, answer.reason))
        else:
            scored.origins.append(record)
            scored.results.append(_result(serving.use_case, model, envelope, record["PartitionKey"], value, answer))
    return scored


def error_entry(shard: str, record: StreamRecord, reason: str) -> Entry:
    """Return the dead letter of `record`: the reason, and its bytes as they came."""
    data = record["Data"]
    about = {
        "reason": reason[:MOST_REASON],
        "shard": shard,
        "sequence": record["SequenceNumber"],
        "data": b64encode(data[:MOST_ORIGINAL_BYTES]).decode(),
        "bytes": len(data),
    }
    return {"Data": orjson.dumps(about), "PartitionKey": record["PartitionKey"]}


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:  # a record in base64: awscli 1 sends its argument as it is, awscli 2 decodes it first
            return orjson.loads(b64decode(b"".join(data.split()), validate=True))
        except ValueError:
            return _rejected(f"is not JSON: {error}")


def _rejected(problem: str) -> Rejected:
    return Rejected((FieldError("", None, problem, "a JSON object of named fields"),))


def _answers(serving: Serving, model: Model, values: list[Any], ids: list[str]) -> list[Answer | Rejected]:
    """Answer `values` together, without those that were rejected before."""
    good = [place for place, value in enumerate(values) if not isinstance(value, Rejected)]
    if len(good) < len(values):
        serving.reject([value for value in values if isinstance(value, Rejected)])
    answered = iter(_isolated(serving, model, [values[i] for i in good], [ids[i] for i in good]))
    return [value if isinstance(value, Rejected) else next(answered) for value in values]


def _isolated(serving: Serving, model: Model, values: list[Any], ids: list[str]) -> list[Answer | Rejected]:
    """Answer `values`. One that makes the scoring code fail is rejected alone, and does not stop the others."""
    try:
        return serving.answer(values, ids, model=model)
    except (JournalError, NotServing):
        raise
    except Exception as error:
        if len(values) > 1:
            return [_isolated(serving, model, [v], [i])[0] for v, i in zip(values, ids, strict=True)]
        log.exception("record %s cannot be scored", ids[0])
        rejected = _rejected(f"cannot be scored: {type(error).__name__}")
        serving.reject([rejected])
        return [rejected]


def _result(use_case: str, model: Model, envelope: Envelope | None, key: str, value: Any, answer: Answer) -> Entry:
    if envelope and envelope.holds(value):
        customer = value.get("customer_id")
        key = key if customer is None else str(customer)
        return {"Data": orjson.dumps(envelope.wrap(use_case, value, *answer)), "PartitionKey": key}
    return {"Data": orjson.dumps(answer.to_json(model.answer_key)), "PartitionKey": key}
