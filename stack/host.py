"""Runs a command of the product on this machine with the env files: `python -m stack.host local server.rollback`."""

from __future__ import annotations

import os
import sys

from stack.env_files import read_file
from stack.environment import HOST_DATA, ROOT, SECRETS, settings_of
from stack.errors import StackError


def main() -> None:
    """Replace this process by the command."""
    name, *command = sys.argv[1:]
    try:
        secrets = read_file(SECRETS) if SECRETS.exists() else {}  # ports on a private network ask for them
        variables = {**secrets, **settings_of(name)}
    except StackError as error:
        sys.exit(str(error))
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", *command], {**variables, "DATA_FOLDER": str(HOST_DATA)})  # noqa: S606  no shell is needed


if __name__ == "__main__":
    main()
