"""The forms: who may send them, what comes back as it was typed, and who sees an offer."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import orjson
import pytest

from scorehouse.settings import Settings
from tests.unit.web_service.conftest import CUSTOMER, EXISTING, NEW, PAST, Pages
from use_cases.insurance import NEW_CUSTOMER
from web_service.site.app import create_app


def test_a_new_customer_s_record_is_what_was_typed_and_a_first_policy_without_claims(pages: Pages) -> None:
    answer = pages.send("/newc", NEW)
    assert answer.status_code == 303
    id_ = answer.location.partition("?id=")[2]
    assert re.fullmatch(r"web-[0-9a-f]{32}", id_)
    pages.exchange.step()
    (sent,) = pages.kinesis.records["in"]
    assert orjson.loads(sent) == {
        **NEW_CUSTOMER, "Date_birth": "1985-03-20", "Date_driving_licence": "2004-07-01", "Date_renewal": "2026-12-01",
        "Type_risk": 3, "Area": 0, "Second_driver": 0, "Year_matriculation": 2018, "Power": 90,
        "Cylinder_capacity": 1600, "Value_vehicle": 17600, "Type_fuel": "D", "prediction_id": id_,
    }  # fmt: skip


def test_an_existing_customer_s_past_and_licence_come_from_the_record_and_the_rest_from_the_form(pages: Pages) -> None:
    typed = {
        **EXISTING,
        "Power": "120,5",
        "Date_driving_licence": "2020-01-01",
        "cost_per_claim": "0",
        "Type_fuel": "not known",
    }
    assert pages.send("/existingc", typed).status_code == 303
    pages.exchange.step()
    sent = orjson.loads(pages.kinesis.records["in"][0])
    assert {name: sent[name] for name in PAST} == PAST
    assert (sent["customer_id"], sent["Date_driving_licence"]) == ("17", CUSTOMER["Date_driving_licence"])
    assert (sent["Power"], sent["Type_fuel"]) == (120.5, None)
    assert "made_up" not in sent and "ID" not in sent


@pytest.mark.parametrize(
    "wrong", [{"customer_id": "18"}, {"Date_birth": "1970-04-16"}, {"customer_id": "18", "Date_birth": "1970-04-16"}]
)
def test_a_wrong_number_and_a_wrong_date_of_birth_get_the_same_answer_and_lose_nothing(
    pages: Pages, wrong: Any
) -> None:
    answer = pages.send("/existingc", {**EXISTING, **wrong})
    assert answer.status_code == 403
    (notice,) = re.findall(r'role="alert"[^>]*>\s*<p>([^<]*)', answer.text)
    assert notice.startswith("We cannot find a customer with this number and this date of birth")
    for name, value in {**EXISTING, **wrong}.items():
        kept = rf'name="{name}" value="{value}"[^>]*(checked|required maxlength)'
        assert re.search(kept, answer.text), name
    pages.exchange.step()
    assert pages.kinesis.records["in"] == []


def test_the_fifth_failure_locks_a_number_whether_there_is_such_a_customer_or_not(pages: Pages) -> None:
    for number, birth in (("17", "1971-01-01"), ("no-one", "1971-01-01")):
        typed = {**EXISTING, "customer_id": number, "Date_birth": birth}
        answers = [pages.send("/existingc", typed) for _ in range(6)]
        assert [a.status_code for a in answers] == [403] * 5 + [429]
        assert "for 15 minutes" in answers[-1].text
        assert answers[-1].headers["Retry-After"] == "900"
    assert pages.send("/existingc", EXISTING).status_code == 429  # the right date of birth as well
    assert pages.other().send("/existingc", EXISTING).status_code == 429  # with another cookie as well
    pages.time.now += 15 * 60
    assert pages.send("/existingc", EXISTING).status_code == 303
    assert pages.store.attempts("17").failures == 0
    assert pages.store.attempts("17 127.0.0.1").failures == 0


def test_who_guesses_from_another_address_locks_a_number_for_nobody_else(pages: Pages) -> None:
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    wrong = {**EXISTING, "Date_birth": "1971-01-01"}
    answers = [pages.other().send("/existingc", wrong, environ_overrides=elsewhere) for _ in range(6)]
    assert answers[-1].status_code == 429
    assert pages.send("/existingc", EXISTING).status_code == 303


def test_a_further_failure_after_a_lock_locks_for_twice_as_long(pages: Pages) -> None:
    typed = {**EXISTING, "Date_birth": "1971-01-01"}
    for minutes in (15, 30, 60):
        while pages.send("/existingc", typed).status_code != 429:
            pass
        assert f"for {minutes} minutes" in pages.send("/existingc", typed).text
        pages.time.now += minutes * 60


def test_a_form_with_another_error_does_not_reveal_the_customer_and_counts_as_no_attempt(pages: Pages) -> None:
    for birth in ("1970-04-15", "1971-01-01"):
        answer = pages.send("/existingc", {**EXISTING, "Date_birth": birth, "Power": ""})
        assert answer.status_code == 422
        assert "no customer" not in answer.text
    assert pages.store.attempts("17").failures == 0


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("Power", "", "Enter a number from 0 to 5,000."),
        ("Power", "strong", "using digits only, such as 90"),
        ("Value_vehicle", "17.600", "such as 17600"),
        ("Value_vehicle", "1e9", "such as 17600"),
        ("Year_matriculation", "08", "four digits"),
        ("Type_risk", "", "Please choose one."),
        ("Type_risk", "9", "Please choose one."),
        ("Date_birth", "1985-02-30", "a valid date"),
        ("Date_birth", "2027-01-01", "in the future"),
        ("Date_driving_licence", "1986-01-01", "before you turned 14"),
        ("Date_renewal", "2003-01-01", "before your driving licence"),
        ("Year_matriculation", "2027", "after cover starts"),
    ],
)
def test_an_error_is_shown_at_its_field_and_everything_typed_is_kept(
    pages: Pages, name: str, text: str, expected: str
) -> None:
    answer = pages.send("/newc", {**NEW, name: text})
    assert answer.status_code == 422
    (error,) = re.findall(rf'id="e-{name}">([^<]*)', answer.text)
    assert expected in error
    for other in NEW.keys() - {name}:
        assert f'name="{other}" value="{NEW[other]}"' in answer.text
    assert f'href="#f-{name}"' in answer.text
    pages.exchange.step()
    assert pages.kinesis.records["in"] == []


def test_text_that_is_not_a_date_is_shown_as_it_was_typed(pages: Pages) -> None:
    answer = pages.send("/newc", {**NEW, "Date_birth": "20/03/1985"})
    (field,) = re.findall(r'<input id="f-Date_birth"[^>]*>', answer.text)
    assert 'value="20/03/1985"' in field and 'type="date"' not in field


def test_markup_that_is_typed_is_text(pages: Pages) -> None:
    answer = pages.send("/newc", {**NEW, "Power": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text


def test_a_form_of_another_site_is_refused_and_the_visitor_s_own_may_be_sent_again(pages: Pages) -> None:
    other = pages.other().token("/newc")
    for token in ("", "x", other, pages.token("/newc")[:-2]):
        answer = pages.browser.post("/newc", data={**NEW, "token": token})
        assert answer.status_code == 400
        assert 'name="Power" value="90"' in answer.text
    fresh = pages.other()  # no cookie, and a token that belongs to another visitor
    assert fresh.browser.post("/newc", data={**NEW, "token": other}).status_code == 400
    pages.exchange.step()
    assert pages.kinesis.records["in"] == []
    assert pages.send("/newc", NEW).status_code == 303


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_connections(pages: Pages) -> None:
    (cookie,) = pages.browser.get("/newc").headers.getlist("Set-Cookie")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    (cookie,) = pages.other().browser.get("/newc", base_url="https://localhost").headers.getlist("Set-Cookie")
    assert "Secure" in cookie


def test_a_client_that_sends_too_many_forms_waits_and_loses_nothing(pages: Pages, settings: Settings) -> None:
    slow = settings.model_copy(update={"web_service_rate": 2})
    app = create_app(pages.store, pages.exchange, slow, b"k" * 32, pages.time.clock, pages.time.monotonic)
    few = Pages(app.test_client(), pages.store, pages.exchange, pages.kinesis, pages.time)
    assert [few.send("/newc", NEW).status_code for _ in range(3)] == [303, 303, 429]
    answer = few.send("/newc", NEW)
    assert "Please wait 30 seconds" in answer.text and answer.headers["Retry-After"] == "30"
    assert 'name="Power" value="90"' in answer.text
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    assert few.send("/newc", NEW, **elsewhere).status_code == 303
    forged = {"headers": {"X-Forwarded-For": "192.0.2.8"}}  # ignored, because no proxy is declared
    assert few.send("/newc", NEW, **forged).status_code == 429
    few.time.now -= 3600  # the machine's clock is set back: nobody waits longer
    few.time.uptime += 30
    assert few.send("/newc", NEW).status_code == 303


def test_behind_the_gateway_every_address_is_below_its_path(pages: Pages, settings: Settings) -> None:
    behind = settings.model_copy(update={"web_service_proxies": 1})
    app = create_app(pages.store, pages.exchange, behind, b"k" * 32, pages.time.clock, pages.time.monotonic)
    prefix = {"X-Forwarded-Prefix": "/insurance"}
    for path in ("/", "/newc", "/nowhere"):
        found = re.findall(r'(?:href|src|action)="([^"#]*)"', app.test_client().get(path, headers=prefix).text)
        assert found and [a for a in found if a.startswith("/") and not a.startswith("/insurance/")] == []
    few = Pages(app.test_client(), pages.store, pages.exchange, pages.kinesis, pages.time)
    assert str(few.send("/newc", NEW, headers=prefix).location).startswith("/insurance/premiumoffer")


def test_an_offer_is_shown_only_to_the_visitor_who_asked_for_it(pages: Pages) -> None:
    mine, other = pages.send("/newc", NEW).location, pages.other()
    other.send("/newc", {**NEW, "Power": "200"})
    pages.exchange.step()
    pages.kinesis.answer(312.4, 0)
    pages.kinesis.answer(999.0, 1)
    pages.exchange.step()
    assert "312.40" in pages.browser.get(mine).text
    assert "999.00" in other.browser.get("/premiumoffer", follow_redirects=True).text
    assert other.browser.get(mine).status_code == 404
    assert pages.other().browser.get(mine).status_code == 404
    assert pages.other().browser.get("/premiumoffer").location == "/"


def test_an_owner_can_change_an_offer_but_must_type_the_birth_date_again(pages: Pages) -> None:
    like = pages.send("/existingc", EXISTING).location.replace("/premiumoffer?id=", "/existingc?like=")
    html = pages.browser.get(like).text
    assert 'name="Power" value="90"' in html and 'name="customer_id" value="17"' in html
    assert "1970-04-15" not in html
    assert pages.other().browser.get(like).status_code == 404


def test_a_customer_number_in_the_address_is_filled_into_the_form(pages: Pages) -> None:
    assert 'name="customer_id" value="17"' in pages.browser.get("/existingc?customer_id=17").text


def test_no_cache_keeps_a_page_and_no_page_runs_code_from_other_sites(pages: Pages) -> None:
    for path in ("/", "/newc", "/existingc", "/nowhere"):
        answer = pages.browser.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", answer.text)


def test_a_store_that_is_down_loses_nothing_that_was_typed(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    token = pages.token("/newc")

    def down() -> Any:
        raise sqlite3.OperationalError("disk I/O error")

    pages.store.close()
    monkeypatch.setattr(pages.store, "_open", down)
    answer = pages.browser.post("/newc", data={**NEW, "token": token})
    assert answer.status_code == 503
    assert 'name="Power" value="90"' in answer.text
    assert pages.browser.get("/").status_code == 200
    assert pages.browser.get("/premiumoffer").status_code == 503
    assert pages.browser.get("/readyz").status_code == 503


def test_a_body_that_is_not_one_of_our_forms_is_refused_with_a_page(pages: Pages) -> None:
    assert pages.browser.post("/newc", data={"Power": "9" * 20_000}).status_code == 413
    assert pages.browser.post("/").status_code == 405
