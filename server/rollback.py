"""Returns to the run that served before: `python -m server.rollback`. Each one goes a step further back."""

from __future__ import annotations

from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound
from scorehouse.registry.history import way_back
from server.deploy import Deploy, ended


def main() -> None:
    """Deploy what served before; status 1 and one line where there is nothing to return to."""
    settings = settings_or_exit()

    def change() -> str:
        deploy = Deploy(settings)
        left = deploy.registry.served(settings.use_case)
        version = way_back(deploy.history.changes(), left)
        if version is None:
            raise RunNotFound(f"nothing served before run {left.run_id}: `make deployments` shows what did")
        alias = deploy.registry.followed(settings.use_case)
        seconds = deploy.to(version, alias, settings.why or f"back from run {left.run_id}", back=True)
        return (
            f"run {version.run_id} is served by every door again after {seconds:.1f} s; "
            f"RUN_ID decides anew at the next `make start-serve`"
        )

    ended("rollback", change)


if __name__ == "__main__":
    main()
