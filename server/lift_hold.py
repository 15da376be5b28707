"""Allows promotions again after a rollback: `python -m server.lift_hold`."""

from __future__ import annotations

from scorehouse.environment import settings_or_exit
from scorehouse.registry.client import Registry
from server.deploy import run_or_exit


def main() -> None:
    """Lift the hold and print whose it was; status 1 and one line if the registry cannot be reached."""
    settings = settings_or_exit()

    def change() -> str:
        registry = Registry.of(settings)
        hold = registry.hold(settings.use_case)
        if hold is None:
            return "there is no hold, so promotions are possible already"
        registry.lift_hold(settings.use_case)
        return (
            f"the hold of {hold.at:%Y-%m-%d %H:%M} UTC by {hold.who} ({hold.why}) is lifted: "
            f"promotions are possible again, but never of run {hold.left}"
        )

    run_or_exit("lift-hold", change)


if __name__ == "__main__":
    main()
