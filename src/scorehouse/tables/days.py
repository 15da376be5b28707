"""Columns of days, for the pages' `clean`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorehouse.errors import TableError
from scorehouse.tables.cells import is_missing
from scorehouse.tables.dates import day_orders, parse_day

if TYPE_CHECKING:
    import pandas as pd

_FORMS = {"dmy": " or DD/MM/YYYY", "mdy": " or MM/DD/YYYY"}


def iso_days(column: pd.Series, order: str = "") -> pd.Series:
    """Return a column of days as text, YYYY-MM-DD, with gaps where there were gaps.

    Without an `order`, "dmy" or "mdy", it is the one that the column shows.

    Raises:
        TableError: a cell is no day, or its order cannot be known. The message names the column and the form.
    """
    present = column[[not is_missing(cell) for cell in column]]
    cells = {cell: str(cell) for cell in present.unique()}
    order = order or day_orders(cells.values())
    days = {cell: parse_day(text, order) for cell, text in cells.items()}
    bad = [cell for cell, day in days.items() if day is None]
    if bad:
        count = f"{int(present.isin(bad).sum()):,} of {len(column):,} rows cannot be read"
        wanted = f"write YYYY-MM-DD{_FORMS.get(order, '')}"
        raise TableError(f"{column.name}: {count}, for example {cells[bad[0]]!r}: {wanted}")
    return present.map(days).reindex(column.index)
