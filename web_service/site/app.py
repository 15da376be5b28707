"""The Flask application around the pages: limits, headers, forms that are the visitor's own, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from scorehouse.errors import StoreUnavailable
from scorehouse.settings import Settings
from web_service.offers.exchange import Exchange
from web_service.offers.store import Store
from web_service.site.limits import RateLimit
from web_service.site.pages import add_pages
from web_service.site.visitors import form_token, use_cookies

# No inline code or style, nothing from elsewhere.
POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
])  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MOST_BYTES = 16 * 1024  # of a form
SAID = {
    HTTPStatus.NOT_FOUND: (
        "There is no such page",
        "Perhaps the address was cut off, or it is the offer of somebody else.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: ("This page is not asked like that", "Begin again from the first page."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("That was too much", "A form holds a few words a field; this was far more."),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "We cannot look it up just now",
        "Nothing is lost: what you asked is kept. Load this page again in a minute.",
    ),
}


def create_app(store: Store, exchange: Exchange, settings: Settings, key: bytes, clock: Callable[[], float]) -> Flask:
    """Return the application; `key` signs its cookies, `clock` is Unix time."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES, MAX_FORM_MEMORY_SIZE=MOST_BYTES, MAX_FORM_PARTS=50)
    hops = settings.web_service_proxies
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    use_cookies(app, key, settings.keep_offers_days)
    add_pages(app, store, exchange, RateLimit(settings.web_service_rate, clock), clock)
    _add_operations(app, store, exchange)
    _add_errors(app)

    @app.context_processor
    def every_page() -> dict[str, object]:
        return {"token": lambda: form_token(app), "days": settings.keep_offers_days}

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            if name != "Cache-Control" or request.endpoint != "static":
                response.headers[name] = value
        return response

    return app


def _add_operations(app: Flask, store: Store, exchange: Exchange) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        try:
            store.tries("-")
        except StoreUnavailable as error:
            return jsonify(status="not ready", problem=str(error)), HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(status="ready", problem=None, stream=exchange.problem or "answers"), HTTPStatus.OK


def _add_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        return _page(error.code or 500)

    @app.errorhandler(StoreUnavailable)
    def store_down(error: StoreUnavailable) -> tuple[str, int]:
        app.logger.warning("%s", error)
        return _page(HTTPStatus.SERVICE_UNAVAILABLE)


def _page(status: int) -> tuple[str, int]:
    ours = ("Something went wrong on our side", "It is written down, and what you asked before is kept. Try again.")
    head, words = SAID.get(HTTPStatus(status), ours)
    return render_template("message.html", head=head, words=words), status
