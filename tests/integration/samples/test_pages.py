"""What every use case's page keeps to."""

from __future__ import annotations

import subprocess
import sys

from tests.toy import ROOT

NOT_THERE = ("pandas", "sklearn", "xgboost")


def test_every_page_is_imported_where_there_is_neither_pandas_nor_sklearn() -> None:
    pages = [f"use_cases.{p.stem}" for p in sorted((ROOT / "use_cases").glob("*.py")) if p.stem != "__init__"]
    assert {"use_cases.claims", "use_cases.insurance"} < set(pages)
    blocked = f"import sys; sys.modules.update(dict.fromkeys({NOT_THERE})); import {', '.join(pages)}"
    subprocess.run([sys.executable, "-c", blocked], check=True, cwd=ROOT)
