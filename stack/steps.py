"""Prints the steps of a long command, each with the seconds since its start."""

from __future__ import annotations

import time

from rich.console import Console


class Steps:
    """The steps of one command, printed to `console` as they are done."""

    def __init__(self, console: Console):
        self._console, self._began = console, time.monotonic()

    def done(self, words: str) -> None:
        """Print that a step is done."""
        seconds = time.monotonic() - self._began
        self._console.print(f"[green]✓[/green] [dim]{seconds:5.1f} s[/dim]  {words}", highlight=False, soft_wrap=True)
