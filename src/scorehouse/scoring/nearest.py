"""The known name that is most like an unknown one: what the sender most likely meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

LIKE = 0.6  # share of pairs, or difflib's ratio, from which a name is what was meant
_MOST_LETTERS = 80  # of a name that is compared


class KnownNames:
    """Names are chosen by the pairs of letters that they share, at a tenth of the cost of difflib's ratio.

    If it shares too few, that ratio judges it: pairs alone miss short names such as `aeg` for `age`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Split the known names into pairs, once."""
        self._pairs = {name: _pairs(name) for name in names}

    def nearest(self, name: str, by_word: bool = True) -> str:
        """Return the known name that is most like `name`; empty if none is like it.

        `by_word` also finds `customer_age` for `age`: one is a whole word of the other.
        """
        name = name[:_MOST_LETTERS]
        pairs = _pairs(name)
        found = max(self._pairs, key=lambda known: _likeness(pairs, self._pairs[known]), default="")
        if not found or _likeness(pairs, self._pairs[found]) >= LIKE:
            return found
        given, meant = name.casefold(), found[:_MOST_LETTERS].casefold()
        like = SequenceMatcher(None, given, meant, autojunk=False).ratio() >= LIKE
        return found if like or (by_word and _is_word(given, meant)) else ""

    def suggest(self, name: str) -> str:
        """Return `; did you mean 'age'?`, or nothing."""
        found = self.nearest(name)
        return f"; did you mean {found!r}?" if found else ""

    def likeness(self, name: str) -> float:
        """Return how much `name` is like the known name that is most like it, 0 to 1."""
        pairs = _pairs(name)
        return max(_likeness(pairs, known) for known in self._pairs.values())


def _is_word(a: str, b: str) -> bool:
    """Return whether one name is a whole word of the other."""
    short, long = sorted((a, b), key=len)
    return bool(short) and short in re.split(r"[\W_]+", long)


def _pairs(name: str) -> frozenset[str]:
    """The pairs of neighbouring letters, both ends included."""
    padded = f" {name.lower()} "
    return frozenset(padded[i : i + 2] for i in range(len(padded) - 1))


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Dice's coefficient: 1 for the same pairs, 0 for none in common."""
    return 2 * len(a & b) / (len(a) + len(b))
