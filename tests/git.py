"""Git as the tests use it: a name and an address of its own, and no settings of the person who runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """Return what a command of git printed in `folder`; fail if git does."""
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *words]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()
