"""The pages: `/`, `/newc`, `/existingc` and `/premiumoffer`; a form that is not right comes back as it was typed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Any

from flask import Flask, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from scorehouse.errors import StoreUnavailable
from use_cases.insurance import NEW_CUSTOMER, PAST, use_case
from web_service.offers.customers import Locked, Unknown, identify
from web_service.offers.exchange import PREFIX, Exchange
from web_service.offers.store import Document, Offer, Store
from web_service.site.forms import Sections, contradictions, controls, record_of, summary, typed_of
from web_service.site.limits import RateLimit
from web_service.site.visitors import is_own_form, visitor
from web_service.site.words import BIRTH, CUSTOMER_ID, EXISTING, NEW

LATE_SECONDS = 8.0  # from then on the page says that it takes longer
KNOWN = (BIRTH, "Date_driving_licence", *(f.name for f in PAST))  # what a customer's record holds
UNKNOWN = "We find no customer with this number and this date of birth. Look at both again, or ask as a new customer."
LOCKED = "After several tries nobody can use this customer number for {} minutes. Then try again, or write to us."
STALE = "This page was open for long, or your browser keeps no cookies. All you typed is still here: send it again."
QUICK = "That was very quick. Wait {} seconds, then send it again: all you typed is still here."
DOWN = "We cannot take your request just now. All you typed is still here: send it again in a minute."
Shown = str | tuple[str, int] | Response


@dataclass(frozen=True)
class Form:
    """One of the two forms: a template's name, what it asks, and whether it asks somebody whom the house knows."""

    template: str
    sections: Sections
    known: bool

    def show(self, typed: Mapping[str, str]) -> str:
        """Return the form with what is known already."""
        return self._page(typed, "", {})

    def again(self, status: int, said: str = "", errors: Mapping[str, str] | None = None) -> tuple[str, int]:
        """Return the form as it was typed, with what is wrong."""
        return self._page(request.form, said, errors or {}), status

    def _page(self, typed: Mapping[str, str], said: str, errors: Mapping[str, str]) -> str:
        sections = controls(self.sections, typed, errors)
        wrong = [c for _, fields in sections for c in fields if c.error]
        return render_template(self.template, sections=sections, said=said, wrong=wrong)


def _past(store: Store, values: Mapping[str, Any], now: float) -> Document:
    """The customer's own record; raises Unknown or Locked for who does not prove to be the customer."""
    id_ = request.form[CUSTOMER_ID].strip()
    customer = identify(store, id_, values[BIRTH], now)
    return {**{name: customer[name] for name in KNOWN}, CUSTOMER_ID: id_}


def add_pages(app: Flask, store: Store, exchange: Exchange, limit: RateLimit, clock: Callable[[], float]) -> None:
    """Add the pages; `limit` counts the forms that a client sends, `clock` is Unix time."""
    forms = {"newc": Form("newc.html", NEW, known=False), "existingc": Form("existingc.html", EXISTING, known=True)}

    @app.get("/")
    def home() -> Shown:
        try:
            made_up = store.made_up_customer()
        except StoreUnavailable:  # the way to the form is open all the same
            made_up = None
        return render_template("home.html", made_up=made_up)

    @app.get("/newc", endpoint="newc")
    @app.get("/existingc", endpoint="existingc")
    def form() -> Shown:
        like = request.args.get("like")
        typed = typed_of(_own(store, like).record) if like else {}
        return forms[str(request.endpoint)].show({**typed, **_given()})

    @app.post("/newc", endpoint="newc_sent")
    @app.post("/existingc", endpoint="existingc_sent")
    def sent() -> Shown:
        asked = forms[str(request.endpoint).removesuffix("_sent")]
        if wait := limit.wait(request.remote_addr or ""):
            return asked.again(HTTPStatus.TOO_MANY_REQUESTS, QUICK.format(ceil(wait)))
        if not is_own_form(app, request.form.get("token", "")):
            return asked.again(HTTPStatus.BAD_REQUEST, STALE)
        try:
            return _take(asked, store, exchange, clock())
        except Unknown:
            return asked.again(HTTPStatus.FORBIDDEN, UNKNOWN)
        except Locked as locked:
            minutes = ceil((locked.until - clock()) / 60)
            return asked.again(HTTPStatus.TOO_MANY_REQUESTS, LOCKED.format(minutes))
        except StoreUnavailable as error:
            app.logger.warning("%s", error)
            return asked.again(HTTPStatus.SERVICE_UNAVAILABLE, DOWN)

    @app.get("/premiumoffer")
    def premiumoffer() -> Shown:
        if id_ := request.args.get("id"):
            return _offer_page(_own(store, id_), clock())
        offers = store.offers_of(visitor())
        return redirect(url_for("premiumoffer", id=offers[0].prediction_id) if offers else url_for("home"))


def _given() -> dict[str, str]:
    """What the address says: /existingc?customer_id=17."""
    return {CUSTOMER_ID: request.args[CUSTOMER_ID]} if CUSTOMER_ID in request.args else {}


def _take(form: Form, store: Store, exchange: Exchange, now: float) -> Shown:
    """Ask for the offer that the form describes, or return it with what is wrong; nobody is looked up before."""
    values, errors = record_of(form.sections, request.form)
    if not errors:
        record = {**values, **(_past(store, values, now) if form.known else NEW_CUSTOMER)}
        typed = {name for _, names in form.sections for name in names}
        today = datetime.fromtimestamp(now, UTC).date()
        errors = {name: why for name, why in contradictions(record, today).items() if name in typed}
    if errors:
        return form.again(HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors)
    offer = Offer(PREFIX + secrets.token_hex(16), visitor(), now, record)
    exchange.ask(offer)
    current_app.logger.info("offer %s is asked", offer.prediction_id)
    return redirect(url_for("premiumoffer", id=offer.prediction_id), HTTPStatus.SEE_OTHER)


def _own(store: Store, id_: str) -> Offer:
    """Return this visitor's own offer; anybody else's is not found, as if there were none."""
    found = [offer for offer in store.offers_of(visitor()) if offer.prediction_id == id_]
    return found[0] if found else abort(HTTPStatus.NOT_FOUND)


def _offer_page(offer: Offer, now: float) -> str:
    late = now - offer.asked_at > LATE_SECONDS
    state = "refused" if offer.refused else "ready" if offer.premium is not None else "late" if late else "waiting"
    return render_template(
        "premiumoffer.html",
        offer=offer,
        state=state,
        asked_at=datetime.fromtimestamp(offer.asked_at, UTC),
        summary=summary(offer.record),
        unit=use_case.answer_unit,
        again=url_for("existingc" if CUSTOMER_ID in offer.record else "newc", like=offer.prediction_id),
    )
