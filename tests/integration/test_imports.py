"""Importing is free of effects: every module of the product loads where nothing can be connected to."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.toy import ROOT

PACKAGES = ("scorehouse", *sorted({p.parent.name for p in ROOT.glob("*/*.py")} - {"tests", "benchmarks"}))
IMPORT_ALL = """
import importlib, pkgutil, socket, sys

def refuse(*arguments, **more):
    raise SystemExit(f"{module} connects at its import: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
count = 0
for module in sys.argv[1:]:
    package = importlib.import_module(module)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = found.name
        importlib.import_module(module)
        count += 1
print(count)
"""


def test_no_module_connects_when_it_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *PACKAGES], cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 200, "it imports the whole product"


def test_a_module_that_connects_would_be_named() -> None:
    hostile = IMPORT_ALL.replace("count += 1", "socket.create_connection(('127.0.0.1', 9))")
    done = subprocess.run(
        [sys.executable, "-c", hostile, "use_cases"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "use_cases.churn connects at its import: (('127.0.0.1', 9),)" in done.stderr
