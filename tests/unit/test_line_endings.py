"""A checkout of somebody whose git turns line feeds into CR LF works: shells and containers read these files."""

from __future__ import annotations

from pathlib import Path

from tests.git import git
from tests.processes import ROOT


def test_a_checkout_with_autocrlf_has_line_feeds(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git(
        tmp_path,
        "clone",
        "--quiet",
        "--shared",
        "--no-checkout",
        "--config",
        "core.autocrlf=true",
        str(ROOT),
        "checkout",
    )
    git(checkout, "checkout", "--quiet", "HEAD", "--", ".")
    found = git(checkout, "ls-files", "--eol").splitlines()
    assert len(found) > 500
    with_cr = [line for line in found if line.split()[1] in {"w/crlf", "w/mixed"}]
    assert with_cr == []
