"""Chromium for the tests of pages, and a page that fails its test when the browser complains."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
WAIT = 15_000  # milliseconds


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium: the system's own, or the one that playwright installed."""
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched_page(browser: Browser, **context_options: Any) -> Iterator[Page]:
    """Open an empty page; fail at the end if the browser logged an error or a warning, except for HTTP errors."""
    complaints: list[str] = []
    context = browser.new_context(**context_options)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    yield page
    context.close()
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []
