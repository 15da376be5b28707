"""Turns records into float32 rows: the only encoder, in training and in serving, for one record or a million."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorehouse.usecase import Feature, Record

Matrix = NDArray[np.float32]
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the model's row: a number as it is, or the code of a category. Missing is NaN in both.

    Codes that are `learnt` are numbers: what a level says about the target. Of several classes, such a field has a
    column for each class.
    """

    name: str
    codes: Mapping[str | int, float] | None = None
    learnt: bool = False
    field: str = ""  # whose value it is; that of its own name if empty

    @property
    def source(self) -> str:
        """The field or derived feature whose value it is."""
        return self.field or self.name

    @property
    def is_category(self) -> bool:
        """Whether its codes are names, which have no order."""
        return self.codes is not None and not self.learnt


class Encoder:
    """Turns validated records into rows of shape (records, columns), float32.

    A category without a code (declared `unseen="missing"`) becomes NaN, like a missing one. The codes are in the
    bundle: they come from the training run, never from the records that are scored.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        """Keep `columns` in the order in which the model was trained."""
        self.columns = tuple(columns)
        self._names = tuple(c.source for c in self.columns)
        self._missing = (math.nan,) * len(self.columns)
        self._coded = tuple((place, c.codes.get) for place, c in enumerate(self.columns) if c.codes is not None)

    @classmethod
    def of(cls, features: Iterable[Feature], learnt: Mapping[str, Sequence[Column]] = _NOTHING) -> Encoder:
        """Return the encoder of `features`: the code of a category is its index among the declared ones.

        `learnt` has the columns of the features whose levels are learnt, by name.
        """
        return cls(
            column
            for f in features
            for column in learnt.get(
                f.name,
                [Column(f.name, {c: float(i) for i, c in enumerate(f.categories)} if f.kind == "category" else None)],
            )
        )

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [c.name for c in self.columns]

    def row(self, record: Record) -> array[float]:
        """Return one record's row: `len(columns)` float32 values."""
        row = array("f")
        self._add(row, record)
        return row

    def rows(self, records: Iterable[Record]) -> Matrix:
        """Return the rows of `records`, shape (records, columns)."""
        values = array("f")  # one buffer, which is several times as fast as an array of lists
        for record in records:
            self._add(values, record)
        return np.frombuffer(values, dtype=np.float32).reshape(-1, len(self.columns))

    def _add(self, values: array[float], record: Record) -> None:
        row: list[Any] = list(map(record.get, self._names, self._missing))  # absent is NaN; a null is still None
        nan = math.nan
        for place, code in self._coded:
            row[place] = code(row[place], nan)
        try:
            values.fromlist(row)
        except TypeError:  # nothing was added
            values.fromlist([nan if value is None else value for value in row])

    def to_json(self) -> list[dict[str, Any]]:
        """Return the columns as JSON, for the bundle; codes as pairs, because JSON would turn keys into strings."""
        return [_column_json(c) for c in self.columns]

    @classmethod
    def from_json(cls, columns: Iterable[Mapping[str, Any]]) -> Encoder:
        """Return the encoder that `to_json` described."""
        return cls(
            Column(
                c["name"],
                None if c["codes"] is None else dict(c["codes"]),
                learnt=c.get("learnt", False),
                field=c.get("field", ""),
            )
            for c in columns
        )


def _column_json(column: Column) -> dict[str, Any]:
    codes = list(column.codes.items()) if column.codes is not None else None
    learnt = {"learnt": True, "field": column.field} if column.learnt else {}
    return {"name": column.name, "codes": codes, **learnt}
