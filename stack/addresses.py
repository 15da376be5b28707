"""The closing table: where everything is, and what each page shows."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

PAGES = (
    ("scorer", "SERVE", 9696, "/", "try the model by a form; the API's documentation at /docs"),
    ("web_service", "SERVE", 8080, "/", "insurance's pages: an offer for new and for known customers"),
    ("gateway", "SERVE", 8000, "/docs", "the scorer for others, with an API key (user scorehouse, key: see below)"),
    ("mlflow", "CLOUD", 5051, "/", "trials, models, what each was trained on"),
    ("prefect", "CLOUD", 4200, "/", "trainings: what runs when (user and password: see below)"),
    ("monitor", "SERVE", 8085, "/", "what drifts, since when, and by how much"),
    ("reports", "CLOUD", 8888, "/", "reports: what drifted, how good the answers were"),
    ("grafana", "SERVE", 3000, "/", "is everything well? drift: /d/U54hsxv7k (user admin, password: see below)"),
    ("prometheus", "SERVE", 9091, "/targets", "metrics and who gives them"),
    ("alertmanager", "SERVE", 9093, "/", "what is wrong now"),
    ("stream", "SERVE", 9697, "/readyz", "the stream scorer: ready, and why not; /metrics"),
    ("shipper", "SERVE", 9698, "/metrics", "the way from the journal to the store"),
    ("worker", "CLOUD", 8081, "/health", "the worker that trains"),
    ("localstack", "CLOUD", 4566, "", "Kinesis and S3 (awslocal, or aws --endpoint-url)"),
)


def table(env: Mapping[str, str], services: set[str]) -> Table:
    """Return the table of the pages whose service is among `services`, and of the store."""
    made = Table(show_header=False, box=None, padding=(0, 2))
    for whole in (True, True, False):  # addresses are not broken, words may be
        made.add_column(no_wrap=whole)
    for service, host, port, path, shows in PAGES:
        if service in services:
            made.add_row(f"[bold]{service}", f"http://{env.get(f'{host}_ADDRESS') or '127.0.0.1'}:{port}{path}", shows)
    if "mongodb" in services:
        made.add_row(
            "[bold]mongodb", f"mongodb://{env.get('SERVE_ADDRESS') or '127.0.0.1'}:27018", "the prediction log"
        )
    return made
