"""Prints which run served when, who changed that, and why: `python -m server.deployments`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound, ScorehouseError
from scorehouse.registry.client import Registry, Version
from scorehouse.registry.history import Change, History

HEAD = ("FROM (UTC)", "DURATION", "VERSION", "RUN", "CHANGED BY", "WHY")


def rows(changes: Sequence[Change], served: Version | None, now: datetime) -> list[tuple[str, ...]]:
    """Return the lines of the table, newest first. A serving run without a noted change comes first of all."""
    lines: list[tuple[str, ...]] = []
    for place, change in enumerate(changes):
        until = changes[place + 1].at if place + 1 < len(changes) else now
        lasts = "now, " if until is now and change.version == served else ""
        lines.append((
            f"{change.at:%Y-%m-%d %H:%M:%S}", lasts + span(until - change.at), change.version.number,
            change.version.run_id, change.who, change.why,
        ))  # fmt: skip
    if served and (not changes or changes[-1].version != served):
        lines.append(("?", "now", served.number, served.run_id, "MLflow", "alias moved in MLflow"))
    return lines[::-1]


def span(lasted: timedelta) -> str:
    """Return a duration in its two largest units: 2 d 3 h, 5 min 10 s."""
    seconds = int(lasted.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def table(lines: Iterable[Sequence[str]]) -> str:
    """Return lines of columns, each as wide as its widest cell."""
    cells = [list(line) for line in lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def main() -> None:
    """Print the table; status 1 and one line if the registry cannot be reached."""
    settings = settings_or_exit()
    registry = Registry.of(settings)
    try:
        changes = History(registry, settings.use_case).changes()
        try:
            served = registry.served(settings.use_case)
        except RunNotFound:
            served = None
        hold = registry.hold(settings.use_case)
    except ScorehouseError as error:
        sys.exit(f"deployments: {error}")
    if not (lines := rows(changes, served, datetime.now(UTC))):
        sys.exit(
            f"deployments: no run of {settings.use_case} has served yet: set RUN_ID and run `make start-serve`, or "
            "name another use case (USE_CASE=…)"
        )
    sys.stdout.write(table([HEAD, *lines]) + "\n")
    if hold:
        sys.stdout.write(
            f"held since {hold.at:%Y-%m-%d %H:%M:%S} by {hold.who} ({hold.why}): "
            "no promotion until `make lift-hold` or a deployment of another RUN_ID\n"
        )


if __name__ == "__main__":
    main()
