"""Routes of the pages, and of what the pages ask for: form, documentation, schema, examples and explanations."""

from __future__ import annotations

import shlex
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson
from flask import Blueprint, Flask, Response, render_template, request

from scorehouse.pages.records import example_record
from scorehouse.scoring.classes import to_answer
from scorehouse.scoring.figures import percent
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Model, Serving
from scorehouse.settings import HttpSettings
from scorehouse.usecase import Feature, UseCase
from server.web.api.answers import choose_media, json_response
from server.web.api.app import caller
from server.web.api.bodies import JSON, parse, read_body
from server.web.api.problems import Problem, refusal
from server.web.site.card import build_card
from server.web.site.examples import TEST, random_record
from server.web.site.explain import Explainer
from server.web.site.fields import fields
from server.web.site.openapi import openapi
from server.web.site.schemas import example_outcome

# No inline code or style, and nothing from other hosts: a page shows only what this door sent.
POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
])  # fmt: skip
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def add_pages(
    app: Flask,
    use_case: UseCase,
    serving: Serving,
    deployment: Deployment,
    settings: HttpSettings,
    rng: np.random.Generator,
) -> None:
    """Add `/`, `/docs`, `/openapi.json`, `/example` and `/explain`; `rng` draws the examples."""
    # Its static files are served under /static.
    site = Blueprint("site", __name__, template_folder="templates", static_folder="static")
    explainer = Explainer()
    parts = [column for f in use_case.features for column in f.part_columns]
    derived = {f.name: _described(f) for f in (*parts, *use_case.derived)}

    @site.get("/")
    def form() -> Response:
        return _form(serving.model, derived) if serving.model else _waiting(deployment)

    @site.get("/docs")
    def docs() -> Response:
        return _docs(serving.model, settings) if serving.model else _waiting(deployment)

    @site.get("/openapi.json")
    def schema() -> Response:
        return json_response(openapi(serving.require_model(), settings))

    @site.get("/example")
    def example() -> Response:
        answer = json_response(random_record(serving.require_model().bundle, rng))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @site.post("/explain")
    def explain() -> Response:
        model = serving.require_model()
        record = parse(read_body(request.environ, settings.max_body_bytes).content, settings.max_records)
        choose_media(JSON)
        if not isinstance(record, dict):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body must be one record (a JSON object)")
        explainer.require_trees(model)
        [answer] = serving.answer([record], model=model, caller=caller())
        if isinstance(answer, Rejected):
            raise refusal(answer)
        return json_response({**model.to_json(answer), **explainer.explain(model, record, answer.prediction)})

    app.register_blueprint(site)


def _described(feature: Feature) -> list[Any]:
    """Return what the form says of a column that is no field: its help, its unit, and the labels of its values."""
    return [feature.help, feature.unit, {str(value): label for value, label in feature.labels.items()}]


def _form(model: Model, derived: dict[str, list[Any]]) -> Response:
    manifest = model.bundle.manifest
    all_fields = fields(model.bundle)
    optional = [f for f in all_fields if not f.required]
    return _page(
        "form.html",
        manifest=manifest,
        required=[f for f in all_fields if f.required],
        optional=optional,
        card=build_card(manifest, len(optional)),
        derived=derived,
        usual=manifest.quality.get("test_mean_true"),
        percent=percent,
    )


def _docs(model: Model, settings: HttpSettings) -> Response:
    features = model.bundle.features
    manifest = model.bundle.manifest
    example = example_record(features)
    wrong = {**example, features[0].name: "plenty", features[-1].name[:-1] + "?": 1}
    refused = model.scorer.schema.check(wrong)
    prediction = model.scorer.score([example])[0]
    named = {} if isinstance(prediction, Rejected) else to_answer(manifest.answer, prediction, model.classes)
    answered = {**named, "model_run_id": manifest.run_id, "prediction_id": "5f0c…"}
    return _page(
        "docs.html",
        manifest=manifest,
        fields=fields(model.bundle),
        settings=settings,
        curl=_curl({**example, **TEST}, _address(), "X-Caller" in request.headers),
        answer=_pretty(answered),
        errors=_pretty({"status": 422, "errors": refused.to_json()}) if isinstance(refused, Rejected) else "",
        outcome=orjson.dumps({"prediction_id": "5f0c…", "outcome": example_outcome(manifest)}).decode(),
        address=_address(),
    )


def _address() -> str:
    """This door's address as the reader of the page reaches it, whose TLS may end at a gateway."""
    scheme = "https" if request.headers.get("X-Forwarded-Proto") == "https" else request.scheme
    return f"{scheme}://{request.host}"


def _curl(example: dict[str, Any], address: str, with_key: bool) -> str:
    body = shlex.quote(_pretty(example))
    key = " -H 'X-API-Key: YOUR-KEY' \\\n " if with_key else ""
    return f"curl -s {shlex.quote(f'{address}/predict')} \\\n {key} -H 'Content-Type: application/json' \\\n  -d {body}"


def _waiting(deployment: Deployment) -> Response:
    page = _page("waiting.html", status=deployment.status)
    page.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    page.headers["Retry-After"] = "2"
    return page


def _page(template: str, **values: Any) -> Response:
    return Response(render_template(template, **values), mimetype="text/html", headers=_HEADERS)


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
