"""Test rows judge models a bounded number of times: they are divided into windows, and each window is used up.

A champion is the best of many tries. If the same rows judge every try, the best one is the luckiest one on these rows.
So the test rows, which no model was ever trained on, are divided by the hash of their key into WINDOWS windows. One
window judges until it was used USES times, then the next. A window is fresh again once at least half of its rows are
new, because its table grew or was replaced. Rows never leave the test side, so no model is trained on rows that judge
it (docs/adr/0017-how-promotion-judges.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
from numpy.typing import NDArray

from model_orchestration.tables.training_table import TEST, assign_splits

WINDOWS = 2
USES = 10  # of a window, until the next one judges
TAG = "scorehouse.test_windows"  # of the registered model: what `to_json` returns
SKETCH = 32  # row names that a window is recognized by
_SEED = 2_000_003  # so that the windows are independent of the split and of the folds


@dataclass(frozen=True, slots=True)
class Window:
    """One window: how often it has judged, and a sample of its rows (of their hashes, so that no key is stored)."""

    uses: int
    rows: frozenset[str]

    @property
    def is_used_up(self) -> bool:
        """Whether it has judged as often as it may."""
        return self.uses >= USES


def assign_windows(keys: list[str], seed: int, split: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the window of each row, (n,), whose split is `split`: from 0 for test rows, and -1 for all others."""
    window = assign_splits(keys, seed + _SEED, (1 / WINDOWS,) * (WINDOWS - 1))
    return np.where(split == TEST, window, -1).astype(np.int8)


def sketch(keys: Sequence[str]) -> frozenset[str]:
    """Return the SKETCH smallest hashes of `keys`: the share that two sketches have in common is that of the rows."""
    hashes = sorted({hashlib.blake2b(key.encode(), digest_size=8).hexdigest() for key in keys})
    return frozenset(name[:8] for name in hashes[:SKETCH])


def renew(known: Sequence[Window], rows: Sequence[frozenset[str]]) -> list[Window]:
    """Return the windows as they are today, from the `known` ones and the sketches of the present rows."""
    windows = []
    for number, present in enumerate(rows):
        before = known[number] if number < len(known) else Window(0, present)
        is_fresh = 2 * len(present - before.rows) >= len(present)
        windows.append(Window(0, present) if is_fresh else before)
    return windows


def choose(windows: Sequence[Window]) -> int:
    """Return the number of the window that judges: the first that is not used up, otherwise the least used one."""
    usable = [n for n, window in enumerate(windows) if window.rows]
    return min(usable, key=lambda n: (windows[n].is_used_up, windows[n].uses if windows[n].is_used_up else n))


def use(windows: Sequence[Window], number: int) -> list[Window]:
    """Return the windows after window `number` has judged once more."""
    return [replace(w, uses=w.uses + 1) if n == number else w for n, w in enumerate(windows)]


def to_json(windows: Sequence[Window]) -> str:
    """Return the windows as text, for the tag."""
    return orjson.dumps([{"uses": w.uses, "rows": sorted(w.rows)} for w in windows]).decode()


def from_json(text: str) -> list[Window]:
    """Return the windows from their tag; none if it is empty."""
    return [Window(int(w["uses"]), frozenset(w["rows"])) for w in orjson.loads(text)] if text else []


def count_uses(text: str) -> int:
    """Return how often all windows together have judged, from their tag."""
    return sum(window.uses for window in from_json(text))
