"""Freed memory stays in the process where the C library can be told so, and nothing else changes."""

from __future__ import annotations

import platform
import subprocess
import sys


def test_glibc_takes_the_settings_and_others_are_left_alone() -> None:
    code = "from server.stream.heap import keep_heap; print(keep_heap())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
