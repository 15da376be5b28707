"""The Flask application around the pages: limits, headers, cookies, health checks, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from scorehouse.errors import StoreUnavailable
from scorehouse.rate_limit import RateLimit
from scorehouse.settings import WebServiceSettings
from web_service.offers.exchange import Exchange
from web_service.offers.store import Store
from web_service.site.pages import add_pages
from web_service.site.visitors import form_token, use_cookies

# No inline code or style, and nothing from other sites.
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
MOST_FORM_BYTES = 16 * 1024
# The heading and text of the page for a status.
MESSAGES = {
    HTTPStatus.NOT_FOUND: (
        "We cannot find this page",
        "The address may be incomplete, or the offer may belong to someone else.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: ("This action is not available", "Please start again from the home page."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "Your form is too long",
        "Please shorten your answers.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "We cannot look this up right now",
        "Nothing is lost: we have kept your request. Please load this page again in a minute.",
    ),
}
OTHER_ERROR = (
    "Something went wrong on our side",
    "We have logged the error, and we have kept your earlier requests. Please try again.",
)


def create_app(
    store: Store,
    exchange: Exchange,
    settings: WebServiceSettings,
    key: bytes,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> Flask:
    """Return the application; `key` signs its cookies, `clock` returns Unix time, and `monotonic` never goes back."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=MOST_FORM_BYTES, MAX_FORM_MEMORY_SIZE=MOST_FORM_BYTES, MAX_FORM_PARTS=50)
    hops = settings.web_service_proxies
    if hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops
        )
    use_cookies(app, key, settings.keep_offers_days)
    per_minute = settings.web_service_rate
    add_pages(app, store, exchange, RateLimit(per_minute / 60, per_minute, monotonic), clock)
    _add_operations(app, store, exchange)
    _add_errors(app)

    @app.context_processor
    def shared_by_all_pages() -> dict[str, object]:
        return {"token": lambda: form_token(app), "days": settings.keep_offers_days}

    @app.after_request
    def add_headers(response: Response) -> Response:
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
            store.attempts("-")
        except StoreUnavailable as error:
            return jsonify(status="not ready", problem=str(error)), HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(status="ready", problem=None, stream=exchange.problem or "answers"), HTTPStatus.OK


def _add_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        return _error_page(error.code or 500)

    @app.errorhandler(StoreUnavailable)
    def store_down(error: StoreUnavailable) -> tuple[str, int]:
        app.logger.warning("%s", error)
        return _error_page(HTTPStatus.SERVICE_UNAVAILABLE)


def _error_page(status: int) -> tuple[str, int]:
    heading, text = MESSAGES.get(HTTPStatus(status), OTHER_ERROR)
    return render_template("message.html", heading=heading, text=text), status
