"""Takes the README's two screenshots: `make screenshots`, of the demo that is running, or of one that it starts.

docs/images/form.png shows the scorer's form with an answer and its explanation, docs/images/monitor.png the monitor's
page with drifting columns.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import requests
from playwright.sync_api import Locator, Page, ViewportSize, expect, sync_playwright

from demo.processes import ROOT

SCORER = f"http://127.0.0.1:{os.environ.get('SCORER_PORT', '9696')}"
MONITOR = f"http://127.0.0.1:{os.environ.get('MONITOR_PORT', '8085')}"
DRIFTING_TRAFFIC = ("--rate", "500", "--count", "2000", "--profile", "drift", "--drift-over", "500")
FOLDER = ROOT / "docs" / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDTH = 1280  # pixels
MARGIN = 16  # pixels below what is shown: less than the gap to what follows
WAIT = 30_000  # milliseconds
DEMO_IS_UP = "Everything keeps running"


def main() -> None:
    """Take both screenshots."""
    FOLDER.mkdir(exist_ok=True)
    with demo(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        size = ViewportSize(width=WIDTH, height=800)
        context = browser.new_context(viewport=size, color_scheme="light", locale="en-GB", reduced_motion="reduce")
        context.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        page = context.new_page()
        answer_the_form(page)
        take(page, "form.png", page.locator("form"))
        show_the_drift(page)
        take(page, "monitor.png", page.locator(".column").nth(2))
        browser.close()


@contextmanager
def demo() -> Iterator[None]:
    """Use the demo that is running, or run one until the end of the block."""
    if is_up():
        yield
        return
    with TemporaryDirectory() as folder:  # the runs of earlier demos would be listed on the monitor's page
        process = subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=ROOT, env={**os.environ, "DATA_FOLDER": folder}, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            for line in process.stdout or ():
                sys.stdout.write(line)
                if DEMO_IS_UP in line:
                    break
            else:
                sys.exit("screenshots: the demo ended before it was ready")
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)


def is_up() -> bool:
    """Return whether a scorer is ready at the demo's address."""
    try:
        return requests.get(f"{SCORER}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


def answer_the_form(page: Page) -> None:
    """Send the form's own example and wait for the answer and its explanation."""
    page.goto(SCORER)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#bars li").first).to_be_visible()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")


def show_the_drift(page: Page) -> None:
    """Open the monitor's page while it reports drift; send drifting traffic if the drift is over."""
    if not drifts():
        subprocess.run([sys.executable, "-m", "simulation_business.http", *DRIFTING_TRAFFIC], cwd=ROOT, check=True)
    end = time.monotonic() + WAIT / 1000
    while not drifts():
        if time.monotonic() > end:
            sys.exit(f"screenshots: the monitor at {MONITOR} reports no drift after drifting traffic; see its log")
        time.sleep(0.5)
    page.goto(MONITOR)


def drifts() -> bool:
    """Return whether the monitor reports drift of any run."""
    lines = requests.get(f"{MONITOR}/metrics", timeout=5).text.splitlines()
    return any(line.startswith("evidently:data_drift:dataset_drift{") and line.endswith(" 1.0") for line in lines)


def take(page: Page, name: str, last: Locator) -> None:
    """Write the page from its top to the end of the element `last`."""
    box = last.bounding_box()
    if box is None:
        sys.exit(f"screenshots: {page.url} does not show {last}")
    page.set_viewport_size({"width": WIDTH, "height": round(box["y"] + box["height"]) + MARGIN})
    page.screenshot(path=FOLDER / name)
    size = (FOLDER / name).stat().st_size
    sys.stdout.write(f"{(FOLDER / name).relative_to(ROOT)}: {size / 1024:.0f} KB\n")


if __name__ == "__main__":
    main()
