"""Writes dashboards/*.json, which Grafana reads, from pages/*.yml: `python -m monitoring.grafana.make`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from monitoring.grafana.dashboard import dashboard
from monitoring.grafana.panels import Json

PAGES, DASHBOARDS = (Path(__file__).parent / name for name in ("pages", "dashboards"))
HOST = "127.0.0.1"


def dashboards(host: str = HOST) -> dict[str, Json]:
    """Return every dashboard by its page's name; `host` is the machine to which links go."""
    return {page.stem: dashboard(yaml.safe_load(page.read_text()), host) for page in sorted(PAGES.glob("*.yml"))}


def text(made: Json) -> str:
    """Return a dashboard as Grafana's own export writes it."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all of them, and remove what no page makes any more."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana.make", description=__doc__)
    parser.add_argument("--host", default=HOST, help="the machine, as browsers reach it (SERVE_ADDRESS)")
    made = dashboards(parser.parse_args().host)
    for path in DASHBOARDS.glob("*.json"):
        if path.stem not in made:
            path.unlink()
    for name, one in made.items():
        (DASHBOARDS / f"{name}.json").write_text(text(one))


if __name__ == "__main__":
    main()
