"""Returns to the previous run: `python -m server.rollback`. Each call goes one step further back."""

from __future__ import annotations

from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound
from scorehouse.registry.history import way_back
from server.deploy import Deployer, run_or_exit


def main() -> None:
    """Deploy the previous run; status 1 and one line if there is none."""
    settings = settings_or_exit()

    def change() -> str:
        deployer = Deployer(settings)
        left = deployer.registry.served(settings.use_case)
        version = way_back(deployer.history.changes(), left)
        if version is None:
            raise RunNotFound(f"there is no run before run {left.run_id}: `make deployments` shows the history")
        alias = deployer.registry.followed(settings.use_case)
        seconds = deployer.deploy(version, alias, settings.why or f"rolled back from run {left.run_id}", back=True)
        return (
            f"all doors are serving run {version.run_id} again (took {seconds:.1f} s); "
            "the next `make start-serve` deploys RUN_ID again"
        )

    run_or_exit("rollback", change)


if __name__ == "__main__":
    main()
