"""Runs a command of the product on this machine, told by the env file: `python -m stack.host local server.rollback`."""

from __future__ import annotations

import os
import sys

from stack.environment import ROOT, StackError, settings_of

DATA = ROOT / "var" / "stack"  # what host-side commands keep: bundles that they verified


def main() -> None:
    """Become the command; its exit status is this one's."""
    name, *command = sys.argv[1:]
    try:
        given = settings_of(name)
    except StackError as error:
        sys.exit(str(error))
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", *command], {**given, "DATA_FOLDER": str(DATA)})  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
