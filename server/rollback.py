"""Returns to the previous run and holds it: `python -m server.rollback`. Each call goes one step further back."""

from __future__ import annotations

from datetime import UTC, datetime

from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound
from scorehouse.registry.client import Hold
from scorehouse.registry.history import way_back
from server.deploy import Deployer, run_or_exit


def main() -> None:
    """Deploy the previous run; status 1 and one line if there is none."""
    settings = settings_or_exit()

    def change() -> str:
        deployer = Deployer(settings)
        left = deployer.registry.served(settings.use_case)
        changes = deployer.history.changes()
        version = way_back(changes, left)
        if version is None:
            raise RunNotFound(f"there is no run before run {left.run_id}: `make deployments` shows the history")
        if changes[-1].version != left:  # so that the history knows which run was left
            deployer.history.note(left, "MLflow", "alias moved in MLflow")
        why = settings.why or f"rolled back from run {left.run_id}"
        hold = Hold(deployer.author, why, datetime.now(UTC), left.run_id)
        seconds = deployer.deploy(version, deployer.registry.followed(settings.use_case), why, hold)
        return (
            f"all doors are serving run {version.run_id} again (took {seconds:.1f} s); "
            "no start and no promotion changes this until you deploy another RUN_ID, "
            "or run `make lift-hold`, which allows promotions again"
        )

    run_or_exit("rollback", change)


if __name__ == "__main__":
    main()
