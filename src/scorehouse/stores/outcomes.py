"""The outcome of one prediction, from the outcomes that one or several senders gave: the same rule in every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scorehouse.stores.store import Document

MOST_OTHERS = 16  # other senders whose last outcome is kept with a prediction
# The fields of a prediction, or of what waits for one. `other_outcomes` has the last outcome of each sender whose
# outcome does not count: {sender: {outcome, outcome_at}}; a sender that is not known has the name "".
FIELDS = ("outcome", "outcome_at", "sender", "other_outcomes")
NONE_YET: Mapping[str, Any] = dict.fromkeys(FIELDS)


def with_outcome(known: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the fields after the outcome `new`, and whether it now contradicts another sender's.

    The latest counts. An outcome that is not newer than its sender's last one returns `known` itself.
    """
    given = {"outcome": float(new["outcome"]), "outcome_at": new["outcome_at"]}
    sender = new.get("sender")
    if known["outcome_at"] is None:
        return {**NONE_YET, **given, "sender": sender}, False
    if sender == known["sender"]:
        return (known if given["outcome_at"] <= known["outcome_at"] else {**known, **given}), False
    others = dict(known["other_outcomes"] or {})
    before = others.pop(sender or "", None)
    if before and given["outcome_at"] <= before["outcome_at"]:
        return known, False
    contradicts = given["outcome"] != known["outcome"]
    if given["outcome_at"] > known["outcome_at"]:
        others[known["sender"] or ""] = {"outcome": known["outcome"], "outcome_at": known["outcome_at"]}
        return {**given, "sender": sender, "other_outcomes": _bounded(others)}, contradicts
    others[sender or ""] = given
    return {**known, "other_outcomes": _bounded(others)}, contradicts


def with_outcomes(known: Mapping[str, Any], new: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], bool]:
    """Return the fields after several outcomes, and whether one of them contradicts another sender's."""
    contradicted = False
    for one in new:
        known, contradicts = with_outcome(known, one)
        contradicted |= contradicts
    return known, contradicted


def outcomes_in(fields: Mapping[str, Any]) -> list[Document]:
    """Return every outcome that the fields hold, each with its sender, for `with_outcomes`."""
    counting = {name: fields[name] for name in ("outcome", "outcome_at", "sender")}
    others = (fields.get("other_outcomes") or {}).items()
    return [*({**one, "sender": sender or None} for sender, one in others), counting]


def _bounded(others: Document) -> Document:
    newest = sorted(others.items(), key=lambda one: str(one[1]["outcome_at"]), reverse=True)
    return dict(newest[:MOST_OTHERS])
