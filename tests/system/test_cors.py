"""A page of another origin in a real browser: it may read a prediction only where CORS_ORIGINS lists its origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import models, processes
from tests.models import Model
from tests.processes import running
from tests.system.browser import chromium

ASK = """async ([url, record]) => {
    try {
        const headers = {"Content-Type": "application/json"};
        const answer = await fetch(url, {method: "POST", headers, body: JSON.stringify(record)});
        return [answer.status, await answer.json()];
    } catch (error) {
        return [0, String(error)];
    }
}"""


class Shop(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>a shop</title>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The origin of a page that is not the scorer's."""
    with ThreadingHTTPServer((processes.HOST, 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{processes.HOST}:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("listed", [True, False])
def test_a_page_of_another_origin_gets_a_prediction_only_where_its_origin_is_listed(
    toy: Model, toy_records: list[dict[str, Any]], browser: Browser, shop: str, tmp_path: Path, listed: bool
) -> None:
    settings = {"CORS_ORIGINS": shop} if listed else {}
    scorer = processes.scorer(tmp_path, models.cache_in(tmp_path, toy), **settings)
    with running(scorer):
        context = browser.new_context()
        page = context.new_page()
        page.goto(shop)
        status, answer = page.evaluate(ASK, [f"{scorer.url}/predict", toy_records[0]])
        refused = page.evaluate(ASK, [f"{scorer.url}/predict", {}])
        context.close()
    if listed:
        assert (status, set(answer)) == (200, {"churn chance", "model_run_id", "prediction_id"})
        assert refused[0] == 422
    else:
        assert (status, answer) == (0, "TypeError: Failed to fetch")
        assert refused[0] == 0
