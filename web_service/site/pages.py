"""The pages `/`, `/newc`, `/existingc` and `/premiumoffer`; a form with errors comes back as it was typed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil

from flask import Flask, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from scorehouse.errors import StoreUnavailable
from scorehouse.rate_limit import RateLimit
from use_cases.insurance import NEW_CUSTOMER, PAST, use_case
from web_service.offers.customers import CustomerLocked, UnknownCustomer, identify
from web_service.offers.exchange import PREFIX, Exchange
from web_service.offers.store import Document, Offer, Store
from web_service.site.forms import Sections, contradictions, controls, record_of, summary, typed_of
from web_service.site.visitors import is_own_form, visitor
from web_service.site.words import BIRTH, CUSTOMER_ID, EXISTING, NEW

LATE_SECONDS = 8.0  # after that, the page says that the offer takes longer than usual
KNOWN_FIELDS = (BIRTH, "Date_driving_licence", *(f.name for f in PAST))  # what a customer's record holds
UNKNOWN = (
    "We cannot find a customer with this number and this date of birth. "
    "Please check both, or ask for an offer as a new customer."
)
LOCKED = (
    "There have been several failed attempts with this customer number, so you cannot use it for {}. "
    "Please try again then, or write to us."
)
STALE = (
    "This page was open for a long time, or your browser does not accept cookies. "
    "Everything you typed is still here. Please send it again."
)
TOO_FAST = (
    "We have received many forms from you in a short time. Please wait {}, then send this one again. "
    "Everything you typed is still here."
)
DOWN = "We cannot take your request right now. Everything you typed is still here. Please send it again in a minute."
Page = str | tuple[str, int] | tuple[str, int, dict[str, str]] | Response


@dataclass(frozen=True)
class Form:
    """One of the two forms: its template, its sections, and whether it asks someone who is a customer already."""

    template: str
    sections: Sections
    existing: bool

    def show(self, typed: Mapping[str, str]) -> str:
        """Return the form, prefilled with `typed`."""
        return self._render(typed, "", {})

    def show_again(self, status: int, notice: str = "", errors: Mapping[str, str] | None = None) -> tuple[str, int]:
        """Return the form as it was typed, with a notice or with errors by field."""
        return self._render(request.form, notice, errors or {}), status

    def _render(self, typed: Mapping[str, str], notice: str, errors: Mapping[str, str]) -> str:
        sections = controls(self.sections, typed, errors)
        wrong = [control for _, fields in sections for control in fields if control.error]
        return render_template(self.template, sections=sections, notice=notice, wrong=wrong)


def add_pages(app: Flask, store: Store, exchange: Exchange, limit: RateLimit, clock: Callable[[], float]) -> None:
    """Add the pages; `limit` counts the forms that a client sends, `clock` returns Unix time."""
    forms = {
        "newc": Form("newc.html", NEW, existing=False),
        "existingc": Form("existingc.html", EXISTING, existing=True),
    }

    @app.get("/")
    def home() -> Page:
        try:
            made_up = store.made_up_customer()
        except StoreUnavailable:  # the links to the forms work without the store
            made_up = None
        return render_template("home.html", made_up=made_up)

    @app.get("/newc", endpoint="newc")
    @app.get("/existingc", endpoint="existingc")
    def form() -> Page:
        like = request.args.get("like")
        typed = typed_of(_own_offer(store, like).record) if like else {}
        return forms[str(request.endpoint)].show({**typed, **_typed_in_address()})

    @app.post("/newc", endpoint="newc_sent")
    @app.post("/existingc", endpoint="existingc_sent")
    def sent() -> Page:
        form = forms[str(request.endpoint).removesuffix("_sent")]
        if seconds := ceil(limit.take(request.remote_addr or "")):
            return _wait(form, TOO_FAST.format(_count(seconds, "second")), seconds)
        if not is_own_form(app, request.form.get("token", "")):
            return form.show_again(HTTPStatus.BAD_REQUEST, STALE)
        try:
            return _take_form(form, store, exchange, clock())
        except UnknownCustomer:
            return form.show_again(HTTPStatus.FORBIDDEN, UNKNOWN)
        except CustomerLocked as locked:
            seconds = ceil(locked.until - clock())
            return _wait(form, LOCKED.format(_count(ceil(seconds / 60), "minute")), seconds)
        except StoreUnavailable as error:
            app.logger.warning("%s", error)
            return form.show_again(HTTPStatus.SERVICE_UNAVAILABLE, DOWN)

    @app.get("/premiumoffer")
    def premiumoffer() -> Page:
        if id_ := request.args.get("id"):
            return _offer_page(_own_offer(store, id_), clock())
        offers = store.offers_of(visitor())
        return redirect(url_for("premiumoffer", id=offers[0].prediction_id) if offers else url_for("home"))


def _typed_in_address() -> dict[str, str]:
    """Return the customer number if the address has one: /existingc?customer_id=17."""
    return {CUSTOMER_ID: request.args[CUSTOMER_ID]} if CUSTOMER_ID in request.args else {}


def _take_form(form: Form, store: Store, exchange: Exchange, now: float) -> Page:
    """Submit the offer that the form describes, or return the form with its errors.

    A customer is looked up only once every field is right, so that errors do not reveal who is a customer.
    """
    values, errors = record_of(form.sections, request.form)
    if not errors:
        record = {**values, **(_known_record(store, values[BIRTH], now) if form.existing else NEW_CUSTOMER)}
        names = {name for _, fields in form.sections for name in fields}
        today = datetime.fromtimestamp(now, UTC).date()
        errors = {name: error for name, error in contradictions(record, today).items() if name in names}
    if errors:
        return form.show_again(HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors)
    offer = Offer(PREFIX + secrets.token_hex(16), visitor(), now, record)
    exchange.submit(offer)
    current_app.logger.info("received the request for offer %s", offer.prediction_id)
    return redirect(url_for("premiumoffer", id=offer.prediction_id), HTTPStatus.SEE_OTHER)


def _known_record(store: Store, birth: str, now: float) -> Document:
    """Return the identified customer's part of the record. Raises UnknownCustomer, CustomerLocked, StoreUnavailable."""
    id_ = request.form[CUSTOMER_ID].strip()
    customer = identify(store, id_, birth, request.remote_addr or "", now)
    return {**{name: customer[name] for name in KNOWN_FIELDS}, CUSTOMER_ID: id_}


def _wait(form: Form, notice: str, seconds: int) -> Page:
    html, status = form.show_again(HTTPStatus.TOO_MANY_REQUESTS, notice)
    return html, status, {"Retry-After": str(seconds)}


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _own_offer(store: Store, id_: str) -> Offer:
    """Return this visitor's own offer; someone else's is not found, as if it did not exist."""
    own = [offer for offer in store.offers_of(visitor()) if offer.prediction_id == id_]
    return own[0] if own else abort(HTTPStatus.NOT_FOUND)


def _offer_page(offer: Offer, now: float) -> str:
    return render_template(
        "premiumoffer.html",
        offer=offer,
        state=_state(offer, now),
        asked_at=datetime.fromtimestamp(offer.asked_at, UTC),
        summary=summary(offer.record),
        unit=use_case.answer_unit,
        change=url_for("existingc" if CUSTOMER_ID in offer.record else "newc", like=offer.prediction_id),
    )


def _state(offer: Offer, now: float) -> str:
    if offer.refused:
        return "refused"
    if offer.premium is not None:
        return "ready"
    return "late" if now - offer.asked_at > LATE_SECONDS else "waiting"
