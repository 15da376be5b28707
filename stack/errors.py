"""What the commands of the stack raise."""

from __future__ import annotations

from scorehouse.errors import ScorehouseError


class StackError(ScorehouseError):
    """The stack cannot be started, or a part of it is not healthy."""
