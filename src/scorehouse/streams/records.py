"""From parts of stream records to what is published: answers for `results`, dead letters for `results-errors`."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scorehouse.errors import JournalError
from scorehouse.scoring.classes import to_answer
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.serving import Answer, Model, NotServing, Serving
from scorehouse.streams.packing import Part, StreamRecord, original, rejected
from scorehouse.streams.publisher import Entry
from scorehouse.usecase import Envelope

log = logging.getLogger(__name__)
# An entry may have 1 MiB, and base64 turns three bytes into four: of a longer original, the beginning is kept.
MOST_ORIGINAL_BYTES, MOST_REASON = 700_000, 1_000


@dataclass(frozen=True, slots=True)
class Scored:
    """The entries for some parts, in order: `results[i]` answers `origins[i]`, and `errors[i]` reports `failed[i]`."""

    results: list[Entry]
    origins: list[StreamRecord]
    errors: list[Entry]
    failed: list[StreamRecord]


def score(serving: Serving, envelope: Envelope | None, shard: str, parts: Sequence[Part]) -> Scored:
    """Score parts of `shard`'s records and journal the answers; nothing is published yet.

    A part without an id gets its place (`shard:sequence`, and `shard:sequence:index` for a part of a packed record), so
    that scoring it again gives the same bytes.

    Raises:
        NotServing: no model is loaded yet.
        JournalError: the answers are not on disk, so none may be published.
    """
    values = [value for _, value in parts]
    plain = [envelope.unwrap(value) for value in values] if envelope else values
    model = serving.require_model()
    ids = [f"{shard}:{r['SequenceNumber']}" + (f":{r['Index']}" if "Index" in r else "") for r, _ in parts]
    answers = _answers(serving, model, plain, ids)
    scored = Scored([], [], [], [])
    for (record, value), answer in zip(parts, answers, strict=True):
        if isinstance(answer, Rejected):
            scored.failed.append(record)
            scored.errors.append(error_entry(shard, record, answer.reason))
        else:
            scored.origins.append(record)
            scored.results.append(_result(serving.use_case, model, envelope, record["PartitionKey"], value, answer))
    return scored


def error_entry(shard: str, record: StreamRecord, reason: str) -> Entry:
    """Return the dead letter of a record or a part of one: the reason, and its bytes as they came."""
    data = original(record)
    about = {
        "reason": reason[:MOST_REASON],
        "shard": shard,
        "sequence": record["SequenceNumber"],
        **({"index": record["Index"]} if "Index" in record else {}),
        "data": b64encode(data[:MOST_ORIGINAL_BYTES]).decode(),
        "bytes": len(data),
    }
    return {"Data": orjson.dumps(about), "PartitionKey": record["PartitionKey"]}


def _answers(serving: Serving, model: Model, values: list[Any], ids: list[str]) -> list[Answer | Rejected]:
    """Answer `values` together, without those that were rejected before."""
    bad = [value for value in values if isinstance(value, Rejected)]
    if not bad:
        return _isolated(serving, model, values, ids)
    serving.reject(bad)
    good = [place for place, value in enumerate(values) if not isinstance(value, Rejected)]
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
        refusal = rejected(f"cannot be scored: {type(error).__name__}")
        serving.reject([refusal])
        return [refusal]


def _result(use_case: str, model: Model, envelope: Envelope | None, key: str, value: Any, answer: Answer) -> Entry:
    if envelope and envelope.holds(value):
        customer = value.get("customer_id")
        key = key if customer is None else str(customer)
        named = to_answer(envelope.answer, answer.prediction, model.classes)
        wrapped = envelope.wrap(use_case, value, named, answer.run_id, answer.prediction_id)
        return {"Data": orjson.dumps(wrapped), "PartitionKey": key}
    return {"Data": orjson.dumps(model.to_json(answer)), "PartitionKey": key}
