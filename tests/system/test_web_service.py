"""Insurance's pages in Chromium, with a real stream and a real stream scorer behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests import engines, models, processes
from tests.processes import Scorer, until
from tests.streams import running_with_streams, stream_scorer
from tests.system.browser import watched_page

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
VISITORS = 50
NEW_CUSTOMER = {  # what a record holds in place of the past of a customer who has none
    "R_Claims_history": 0.0, "av_senior_year": 0.5, "policy_stability": 1.0, "product_stability": 1.0,
    "claims_per_policy": 0.0, "cost_per_claim": 0.0,
}  # fmt: skip
TYPED = {
    "Date_birth": "1985-03-20", "Date_driving_licence": "2004-07-01", "Type_risk": "3", "Year_matriculation": "2018",
    "Power": "90", "Cylinder_capacity": "1600", "Value_vehicle": "17600", "Type_fuel": "D", "Area": "0",
    "Second_driver": "0", "Date_renewal": "2026-12-01",
}  # fmt: skip


@dataclass
class House:
    """The pages at `url`, the stream scorer behind them, and the model that it serves."""

    url: str
    stream: Scorer
    scorer: Scorer
    shots: Path  # what the browser saw

    def premium(self, record: dict[str, Any]) -> float:
        """What the HTTP scorer asks for a record."""
        return float(requests.post(f"{self.scorer.url}/predict", json=record, timeout=30).json()["premium"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    run_id = models.cache_in(folder / "data", models.train(folder / "bundle", use_case="insurance", trials=1))
    with running_with_streams(engines.ministack(folder / "engine"), 2) as engine:
        stream = stream_scorer(folder / "data", run_id, engine.address, USE_CASE="insurance")
        scorer = processes.scorer(folder / "data", run_id, USE_CASE="insurance")
        pages = processes.door("web_service", "WEB_SERVICE_PORT", folder / "data", {**stream.environ, "DATA": ""})
        with processes.running(stream, scorer, pages):
            yield House(pages.url, stream, scorer, folder)


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, house: House, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A visitor's browser."""
    with watched_page(browser, viewport=request.param, locale="en-GB") as page:
        yield page


def check_look(page: Page, house: House, name: str) -> None:
    """Keep a picture; nothing on the page may be wider than the screen, or inaccessible."""
    width = (page.viewport_size or DESK)["width"]
    page.screenshot(path=house.shots / f"{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(engines.axe_core() + "; undefined")
    for scheme, rules in (("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = page.evaluate(f"axe.run({rules}).then((r) => r.violations)")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == [], scheme
    page.emulate_media(color_scheme="light")


def fill_vehicle(page: Page) -> None:
    """Answer what both forms ask of the vehicle and the cover."""
    page.get_by_label("Car", exact=True).check()
    page.get_by_label("Year of first registration").fill("2018")
    page.get_by_label("Engine power").fill("90")
    page.get_by_label("Cylinder capacity").fill("1600")
    page.get_by_label("Price when new").fill("17600")
    page.get_by_label("Diesel").check()
    page.get_by_label("In the countryside").check()
    page.get_by_role("group", name="Does someone else drive it").get_by_label("No").check()
    page.get_by_label("First day of cover").fill("2026-12-01")


def made_up(page: Page, house: House) -> tuple[str, str]:
    """Return number and date of birth of the sample customer on the home page."""
    sample = re.compile(r"Try number .*>(\S+)</a>, born on <b>([0-9-]+)")
    found = until(lambda: sample.search(requests.get(house.url, timeout=10).text), 20, "the customers are there")
    page.goto(house.url)
    return found[1], found[2]


def test_a_new_customer_gets_an_offer(page: Page, house: House) -> None:
    page.goto(house.url)
    check_look(page, house, "home")
    page.get_by_role("link", name="Get an offer").click()
    page.get_by_label("Your date of birth").fill("1985-03-20")
    page.get_by_label("Driving licence issued on").fill("2004-07-01")
    fill_vehicle(page)
    check_look(page, house, "new")
    page.get_by_role("button", name="See my offer").click()
    record = {**TYPED, "Type_risk": 3, "Year_matriculation": 2018, "Power": 90, "Cylinder_capacity": 1600}
    record |= {"Value_vehicle": 17600, "Area": 0, "Second_driver": 0, **NEW_CUSTOMER}
    expect(page.locator(".value")).to_contain_text(f"{house.premium(record):,.2f} euros")
    expect(page).to_have_title("Your offer")
    expect(page.get_by_text("Diesel")).to_be_visible()
    check_look(page, house, "offer")
    page.reload()
    expect(page.locator(".value")).to_be_visible()


def test_an_existing_customer_gets_an_offer_from_the_record_and_the_form(page: Page, house: House) -> None:
    number, birth = made_up(page, house)
    page.get_by_label("Your customer number").fill(number)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Your customer number")).to_have_value(number)
    page.get_by_label("Your date of birth").fill(birth)
    fill_vehicle(page)
    page.get_by_role("button", name="See my offer").click()
    expect(page.locator(".value")).to_be_visible()
    expect(page.get_by_text(f"as customer {number}")).to_be_visible()
    check_look(page, house, "offer-existing")
    page.get_by_role("link", name="Change my answers").click()
    expect(page.get_by_label("Engine power")).to_have_value("90")
    expect(page.get_by_label("Your date of birth")).to_have_value("")


def test_a_wrong_birth_date_is_reported_and_nothing_that_was_typed_is_lost(page: Page, house: House) -> None:
    number, _ = made_up(page, house)
    page.goto(f"{house.url}/existingc?customer_id={number}")
    page.get_by_label("Your date of birth").fill("1901-01-01")
    fill_vehicle(page)
    page.get_by_role("button", name="See my offer").click()
    expect(page.get_by_role("alert")).to_contain_text("a customer with this number and this date of birth")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Your date of birth")).to_have_value("1901-01-01")
    expect(page.get_by_label("Price when new")).to_have_value("17600")
    expect(page.get_by_label("Diesel")).to_be_checked()
    check_look(page, house, "wrong-birth-date")


def test_a_missing_field_is_named_and_a_link_leads_to_it(page: Page, house: House) -> None:
    page.goto(f"{house.url}/newc")
    page.get_by_label("Your date of birth").fill("1985-03-20")
    page.get_by_label("Driving licence issued on").fill("2004-07-01")
    fill_vehicle(page)
    page.get_by_label("Engine power").fill("")
    page.get_by_role("button", name="See my offer").click()
    expect(page.get_by_role("alert")).to_contain_text("Please check one answer")
    expect(page.locator("#e-Power")).to_contain_text("from 0 to 5,000")
    check_look(page, house, "missing-field")
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.get_by_label("Engine power")).to_be_focused()
    page.keyboard.type("90")
    page.keyboard.press("Enter")
    expect(page.locator(".value")).to_be_visible()


def test_it_works_by_keyboard_alone(page: Page, house: House) -> None:
    page.goto(f"{house.url}/newc")
    page.get_by_label("Your date of birth").focus()
    # A day is typed the same in every order of day and month; a space takes the first of some choices.
    for keys in ("03031985", "07072004", " ", "2018", "90", "1600", "17600", " ", " ", " ", "12122026"):
        page.keyboard.type(keys)
        here = page.evaluate("document.activeElement.name")
        while page.evaluate("document.activeElement.name") == here:  # a date has several stops
            page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the button has the focus
    expect(page.locator(".value")).to_be_visible()
    expect(page.get_by_text("Motorbike")).to_be_visible()


@pytest.mark.parametrize("page", [PHONE], ids=["phone"], indirect=True)
def test_while_the_stream_scorer_is_down_the_page_says_so_and_the_offer_comes_when_it_is_back(
    page: Page, house: House
) -> None:
    house.stream.kill()
    page.goto(f"{house.url}/newc")
    page.get_by_label("Your date of birth").fill("1985-03-20")
    page.get_by_label("Driving licence issued on").fill("2004-07-01")
    fill_vehicle(page)
    page.get_by_role("button", name="See my offer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("We are preparing your offer")
    check_look(page, house, "waiting")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your offer is taking longer than usual")
    expect(page.get_by_role("status")).to_contain_text("Nothing is lost")
    check_look(page, house, "late")
    address = page.url
    page.goto("about:blank")
    house.stream.start()
    house.stream.wait_ready()
    page.goto(address)
    expect(page.locator(".value")).to_be_visible()


def test_fifty_visitors_at_once_each_get_their_own_offer_and_no_other(house: House) -> None:
    def visit(number: int) -> tuple[requests.Session, str, float]:
        visitor = requests.Session()
        token = re.search(r'name="token" value="([^"]+)"', visitor.get(f"{house.url}/newc", timeout=30).text)
        assert token
        typed = {name: str(value) for name, value in of_visitor(number).items()}
        answer = visitor.post(f"{house.url}/newc", data={**typed, "token": token[1]}, timeout=30)
        assert answer.ok
        found = until(lambda: shown(visitor, answer.url), 30, "the offer is there")
        return visitor, answer.url, found

    with ThreadPoolExecutor(VISITORS) as pool:
        visits = list(pool.map(visit, range(VISITORS)))
    expected = [house.premium({**of_visitor(n), **NEW_CUSTOMER}) for n in range(VISITORS)]
    assert [found for _, _, found in visits] == [round(premium, 2) for premium in expected]
    assert len(set(expected)) > VISITORS / 2
    for (visitor, _, _), (_, address, _) in pairwise(visits):
        assert visitor.get(address, timeout=30).status_code == 404


def of_visitor(number: int) -> dict[str, Any]:
    """What one of fifty visitors types, as values of the record."""
    own = {"Date_birth": f"{1950 + number}-03-20", "Date_driving_licence": f"{1970 + number}-07-01"}
    numbers = {"Power": 40 + 3 * number, "Value_vehicle": 9000 + 700 * number, "Area": number % 2, "Second_driver": 0}
    return {
        **TYPED,
        **own,
        **numbers,
        "Type_risk": 3,
        "Year_matriculation": 2019 - number % 7,
        "Cylinder_capacity": 1600,
    }


def shown(visitor: requests.Session, address: str) -> float | None:
    """The premium on an offer's page, once it is there."""
    found = re.search(r'class="value">([\d,.]+)', visitor.get(address, timeout=30).text)
    return float(found[1].replace(",", "")) if found else None
