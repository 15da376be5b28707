"""Keeps freed memory in the process: glibc would return it after each batch and map it again for the next."""

from __future__ import annotations

import ctypes

# mallopt(3): parameters, and bytes. Setting one stops glibc from adjusting the others, so all three are set.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
KEPT, GROWTH, MAPPED = 256 * 2**20, 2**20, 32 * 2**20


def keep_heap() -> bool:
    """Keep up to 256 MB of freed memory in the process; return whether the C library accepted it (glibc does)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(*setting) for setting in ((_TRIM_THRESHOLD, KEPT), (_TOP_PAD, GROWTH), (_MMAP_THRESHOLD, MAPPED))
    )
