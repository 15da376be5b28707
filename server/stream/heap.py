"""Keeps freed memory in the process: glibc would hand it back after each batch, and fault it in again for the next."""

from __future__ import annotations

import ctypes

# mallopt(3): parameters, and bytes. Setting one ends glibc's own adjusting of the others, so all three are set.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
KEPT, GROWTH, MAPPED = 256 * 2**20, 2**20, 32 * 2**20


def keep_heap() -> bool:
    """Keep up to 256 MB of freed memory in the process; return whether the C library took the settings (glibc does)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(*setting) for setting in ((_TRIM_THRESHOLD, KEPT), (_TOP_PAD, GROWTH), (_MMAP_THRESHOLD, MAPPED))
    )
