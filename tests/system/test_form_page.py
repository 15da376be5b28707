"""The page at `/` as a person uses it in Chromium: by mouse, by keyboard, on a phone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests import processes
from tests.models import Model, cache_in
from tests.processes import Scorer, until
from tests.system.browser import watched_page


@pytest.fixture
def page(browser: Browser, toy_scorer: Scorer) -> Iterator[Page]:
    """The form, opened."""
    with watched_page(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(toy_scorer.url)
        yield page


def test_a_person_fills_the_form_and_reads_the_answer_and_what_moved_it(page: Page, toy_scorer: Scorer) -> None:
    page.get_by_label("Age of the customer").fill("35")
    page.get_by_label("Gender as on the account").select_option(label="Female")
    page.get_by_label("Highest education").select_option(label="Doctorate")
    page.get_by_label("Yearly income").select_option(label="Not known")
    page.get_by_label("Balance carried over from month to month").fill("0")
    with page.expect_request("**/predict") as request:
        page.get_by_role("button", name="Predict").click()
    sent = request.value.post_data_json
    assert (sent["customer_age"], sent["gender"], sent["education_level"]) == (35, "F", 5)
    assert sent["income_category"] is None
    assert "total_trans_ct" not in sent
    expect(page.locator("#bars li")).to_have_count(9)
    answered = requests.post(f"{toy_scorer.url}/explain", json=sent, timeout=10).json()
    expect(page.locator("#value")).to_have_text(f"{answered['churn chance'] * 100:.1f}\N{NO-BREAK SPACE}%")
    largest = answered["contributions"][0]
    first = page.locator("#bars li").first
    expect(first.locator(".push.up" if largest["contribution"] > 0 else ".push.down")).to_be_visible()
    assert page.locator("#prediction_id").inner_text()
    expect(page.locator("#answer")).not_to_have_class("stale")


def test_an_error_appears_beside_its_field_and_what_was_typed_is_kept(page: Page) -> None:
    age, limit = page.get_by_label("Age of the customer"), page.get_by_label("Limit of the card")
    age.fill("abc")
    limit.fill("-5")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#e-customer_age")).to_have_text("Should be a whole number from 18 to 120, or empty.")
    expect(page.locator("#e-credit_limit")).to_be_visible()
    expect(page.locator("#e-gender")).to_be_hidden()
    assert page.locator("[aria-invalid=true]").count() == 2
    assert (age.input_value(), limit.input_value()) == ("abc", "-5")
    expect(age).to_be_focused()
    assert "e-customer_age" in (age.get_attribute("aria-describedby") or "")
    left, below = page.evaluate(PLACE_OF_ERROR)  # both in one call, because the page may still be scrolling
    assert abs(left) < 5
    assert 0 < below < 60
    age.fill("35")
    limit.fill("5000")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#result")).to_be_visible()
    assert page.locator("[aria-invalid=true]").count() == 0
    expect(page.locator("#e-customer_age")).to_be_hidden()


def test_an_error_in_an_optional_field_opens_the_fold(page: Page) -> None:
    page.get_by_text("8 optional fields").click()
    page.get_by_label("Transactions in the last year").fill("many")
    page.get_by_text("8 optional fields").click()
    expect(page.get_by_label("Transactions in the last year")).to_be_hidden()
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#e-total_trans_ct")).to_be_visible()


def test_it_works_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "f-customer_age":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("61")
    page.keyboard.press("Tab")
    page.keyboard.press("f")  # the list of genders jumps to the entry that begins with it
    page.keyboard.press("Shift+Tab")
    with page.expect_request("**/predict") as request:
        page.keyboard.press("Enter")
    assert (request.value.post_data_json["customer_age"], request.value.post_data_json["gender"]) == (61, "F")
    expect(page.locator("#value")).to_contain_text("%")


def test_a_random_example_fills_every_field_it_has_a_value_for_and_is_answered(page: Page) -> None:
    page.get_by_role("button", name="Random example").click()
    expect(page.locator("#value")).to_contain_text("%")
    first = page.locator("#prediction_id").inner_text()
    expect(page.locator("#fold")).to_have_attribute("open", "")
    values = [page.locator("form input").nth(i).input_value() for i in range(page.locator("form input").count())]
    assert sum(bool(v) for v in values) > 10
    page.get_by_role("button", name="Random example").click()
    expect(page.locator("#prediction_id")).not_to_have_text(first)


def test_what_is_sent_from_the_page_is_a_test_that_is_stored_and_that_the_monitor_leaves_out(
    browser: Browser, toy: Model, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    run_id = cache_in(tmp_path, toy)
    scorer, shipper, monitor = (
        processes.scorer(tmp_path, run_id),
        processes.shipper(tmp_path),
        processes.monitor(tmp_path, run_id),
    )
    with processes.started(scorer, shipper, monitor):
        scorer.wait_ready()
        with watched_page(browser) as page:
            page.goto(scorer.url)
            expect(page.locator("#tries")).to_contain_text("marked as a test")
            for button in ("Random example", "Predict"):
                with page.expect_response("**/explain"):
                    page.get_by_role("button", name=button).click()
        requests.post(f"{scorer.url}/predict", json=toy_records[0], timeout=10).raise_for_status()
        until(lambda: stored_tests(tmp_path) == [1, 1, 0], 30, "both tries and the real record are stored")
        seen = until(lambda: window_records(monitor), 60, "the monitor shows the real record")
        assert seen == 1


def stored_tests(data_folder: Path) -> list[int]:
    """The column `test` of the store's predictions, in their order."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(data_folder / "predictions.db")) as db:
        return [row[0] for row in db.execute("SELECT test FROM predictions ORDER BY seq")]
    return []


def window_records(monitor: Scorer) -> float:
    """How many records are in the monitor's window; 0 while there is none."""
    with suppress(requests.ConnectionError):
        shown = requests.get(f"{monitor.url}/metrics", timeout=10).text
        return float((re.search(r"^scorehouse_window_records{.*} (.+)$", shown, re.MULTILINE) or ["", 0])[1])
    return 0.0


def test_a_changed_field_marks_the_answer_as_out_of_date_and_reset_restores_the_defaults(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#result")).to_be_visible()
    page.get_by_label("Age of the customer").fill("70")
    expect(page.locator("#answer.stale")).to_have_count(1)
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Age of the customer")).to_have_value("50")


def test_a_scorer_that_does_not_answer_is_reported_and_nothing_that_was_typed_is_lost(page: Page) -> None:
    page.get_by_label("Age of the customer").fill("44")
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<html>bad gateway</html>"))
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#trouble")).to_contain_text("is not responding")
    expect(page.get_by_label("Age of the customer")).to_have_value("44")
    page.unroute("**/predict")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_nothing_is_wider_than_a_phone(browser: Browser, toy_scorer: Scorer, scheme: str, path: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme,  # type: ignore[arg-type]
        extra_http_headers={"X-Caller": "person"},  # behind the gateway there is one more link
    )  # fmt: skip
    page = context.new_page()
    page.goto(toy_scorer.url + path)
    expect(page.get_by_role("link", name="All pages")).to_be_in_viewport(ratio=1)
    if path == "/":
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#bars li")).to_have_count(9)
        expect(page.locator("#value")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, toy_scorer: Scorer, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(toy_scorer.url)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#bars li")).to_have_count(9)
    assert page.evaluate(FAINT_TEXTS) == []
    context.close()


# How far the error of the age is to the right of its field, and below it, in pixels.
PLACE_OF_ERROR = """() => {
  const box = (id) => document.getElementById(id).getBoundingClientRect();
  const field = box("f-customer_age"), error = box("e-customer_age");
  return [error.left - field.left, error.top - field.bottom];
}"""

# Texts whose contrast with their background is under WCAG's 4.5 (3 from 24 px): [text, ratio].
FAINT_TEXTS = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!text || !e.checkVisibility() || e.closest("option")) continue;
    const style = getComputedStyle(e), [a, b] = [light(parse(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) faint.push([text.slice(0, 40), ratio.toFixed(2)]);
  }
  return faint;
}"""
