"""Flask routes of the HTTP door, including every `POST /predict` that the micro-batcher cannot answer."""

from __future__ import annotations

import csv
import io
import os
from http import HTTPStatus
from math import ceil
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import orjson
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from werkzeug.exceptions import HTTPException

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.journal.conflicts import KnownConflicts
from scorehouse.journal.shipper import read_state
from scorehouse.rate_limit import RateLimit
from scorehouse.scoring.classes import Classes, likeliest, to_answer
from scorehouse.scoring.json_text import NotJson
from scorehouse.scoring.schema import FieldError, Rejected
from scorehouse.scoring.scorer import Prediction
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.readiness import readiness
from scorehouse.serving.serving import Answer, Model, NotServing, Serving
from scorehouse.settings import HttpSettings
from scorehouse.stores.store import Key
from server.web.api.answers import choose_media, json_response, lines_response
from server.web.api.bodies import CSV, JSON, LINES, NDJSON, is_lines, parse, parse_body, parse_each_line, read_body
from server.web.api.csv_rows import csv_records
from server.web.api.inference import add_inference
from server.web.api.invocations import to_records
from server.web.api.machine import Machine
from server.web.api.outcomes import to_outcomes
from server.web.api.problems import PROBLEM_TYPE, ErrorsShown, Problem, refusal, require_few

OUTCOMES_AT_ONCE = 100_000  # that a key may send before its rate counts: a night's worth in one go
CALLER = "scorehouse.caller"  # the key under which the transport hands over who asks


def create_api(serving: Serving, deployment: Deployment, settings: HttpSettings) -> Flask:
    """Return the application around one door's model, journal and deployment."""
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # a route has the methods that /openapi.json lists, and HEAD
    _add_predict(app, serving, settings)
    _add_scoring(app, serving, settings)
    _add_operations(app, serving, deployment, settings)
    add_inference(app, serving, deployment, settings, caller)
    _add_errors(app)
    _add_metrics(app)
    return app


def _add_predict(app: Flask, serving: Serving, settings: HttpSettings) -> None:
    @app.post("/predict")
    def predict() -> Response:
        body = read_body(request.environ, settings.max_body_bytes, (JSON, LINES))
        media = choose_media(body.media, JSON, LINES, NDJSON)
        if is_lines(body.media):
            answers: Any = many(parse_each_line(body.content, settings.max_records))
        else:
            value = parse(body.content, settings.max_records)
            answers = many(value) if type(value) is list else one(value)
        if media == JSON:
            return json_response(answers)
        return lines_response(answers if type(answers) is list else [answers], media)

    def many(values: list[Any]) -> list[dict[str, Any]]:
        require_few(len(values), settings.max_records, "a list")
        model = serving.require_model()
        answers = answer_each(values, model)
        shown = ErrorsShown()
        listed = [model.to_json(a) if isinstance(a, Answer) else {"errors": shown.errors(a)} for a in answers]
        if listed and not any(isinstance(a, Answer) for a in answers):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "none of the records can be scored", records=listed)
        return listed

    def answer_each(values: list[Any], model: Model) -> list[Answer | Rejected]:
        """Answer `values`; a line that is not JSON is refused in its place."""
        faults = {
            place: Rejected((FieldError("", None, str(value), "a JSON object of named fields"),))
            for place, value in enumerate(values)
            if isinstance(value, NotJson)
        }
        serving.reject(list(faults.values()))
        good = [value for place, value in enumerate(values) if place not in faults]
        answered = iter(serving.answer(good, model=model, caller=caller()) if good else [])
        return [faults[place] if place in faults else next(answered) for place in range(len(values))]

    def one(record: Any) -> dict[str, Any]:
        model = serving.require_model()
        [answer] = serving.answer([record], model=model, caller=caller())
        if isinstance(answer, Rejected) and type(record) is not dict:
            wanted = f"the body {answer.reason}; send one record (a JSON object) or a list of records"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, wanted)
        if isinstance(answer, Rejected):
            raise refusal(answer)
        return model.to_json(answer)


def _add_scoring(app: Flask, serving: Serving, settings: HttpSettings) -> None:
    @app.post("/invocations")
    def invocations() -> Response:
        model = serving.require_model()
        features = model.bundle.features
        body = read_body(request.environ, settings.max_body_bytes, (JSON, LINES, CSV))
        media = choose_media(body.media if is_lines(body.media) else JSON, JSON, LINES, NDJSON, CSV)
        if body.media == CSV:
            records: list[Any] = csv_records(
                body.content, features, settings.max_records, body.has_header, settings.max_body_bytes
            )
        else:
            value = parse_body(body, settings.max_records)
            records = to_records(value, [f.name for f in features], settings.max_records)
        answers = serving.answer(records, all_or_none=True, model=model, caller=caller())
        shown = ErrorsShown()
        faults = [{"index": i, "errors": shown.errors(a)} for i, a in enumerate(answers) if isinstance(a, Rejected)]
        if faults:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{len(faults)} of {len(records)} records cannot be scored",
                records=faults,
            )
        return _predictions([a.prediction for a in answers if isinstance(a, Answer)], media, model)

    known_conflicts = KnownConflicts(settings.journal_folder)
    limit = RateLimit(settings.outcomes_per_second, max(OUTCOMES_AT_ONCE, settings.max_records), monotonic)

    @app.post("/outcomes")
    def outcomes() -> Response:
        manifest = serving.require_model().bundle.manifest
        if (sender := caller()) and (seconds := limit.left(sender)):  # reading it costs more than refusing it
            raise _too_many(seconds, settings.outcomes_per_second)
        body = read_body(request.environ, settings.max_body_bytes, (JSON, LINES))
        choose_media(JSON)
        values = parse_body(body, settings.max_records)
        accepted = to_outcomes(values, manifest.task, settings.max_records, manifest.classes)
        if sender and (seconds := limit.take(sender, len(accepted))):
            raise _too_many(seconds, settings.outcomes_per_second)
        serving.accept_outcomes(accepted, sender=sender)
        about: dict[str, Any] = {"accepted": len(accepted)}
        keys = {Key(serving.use_case, outcome["prediction_id"]) for outcome in accepted}
        if conflicting := known_conflicts.among(keys):
            about["conflicts"] = sorted(key.prediction_id for key in conflicting)
        return json_response(about, 202)


def _too_many(seconds: float, per_second: int) -> Problem:
    """Return the 429 to a key that sends outcomes faster than the shipper should have to store them for all."""
    wait = ceil(seconds)
    problem = Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"this key may send {per_second:,} outcomes a second: send these again in {wait} s (nothing of them was kept)",
    )
    problem.headers["Retry-After"] = str(wait)
    return problem


def _predictions(predictions: list[Prediction], media: str, model: Model) -> Response:
    classes = model.classes
    if media == CSV:  # as SageMaker's own containers: a line each, without a header
        return Response(b"".join(_csv_line(p, classes) for p in predictions), content_type="text/csv; header=absent")
    values = [to_answer(model.answer_key, p, classes) for p in predictions] if classes else predictions
    return (
        json_response({"predictions": values})
        if media == JSON
        else lines_response(({"prediction": v} for v in values), media)
    )


def _csv_line(prediction: Prediction, classes: Classes) -> bytes:
    """Return the number, or the class and then the chance of each class, in their order."""
    if not isinstance(prediction, list):
        return orjson.dumps(prediction) + b"\n"
    name = io.StringIO()
    csv.writer(name).writerow([classes[likeliest(prediction)]])  # it quotes what the end of its line consists of
    return b",".join([name.getvalue().removesuffix("\r\n").encode(), *map(orjson.dumps, prediction)]) + b"\n"


def caller() -> str | None:
    """Return the name of the client that sent this request, where the gateway has said it."""
    name: str | None = request.environ.get(CALLER)
    return name


def _add_operations(app: Flask, serving: Serving, deployment: Deployment, settings: HttpSettings) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return json_response({"status": "alive"})

    @app.get("/ping")
    @app.get("/readyz")
    def readyz() -> Response:
        about = readiness(serving, deployment.status) | read_state(settings.journal_folder)
        return json_response(about, 503 if about["problem"] else 200)

    machine = Machine(serving.use_case, settings.data_folder)

    @app.get("/metrics")
    def show_metrics() -> Response:
        machine.measure()
        registry: CollectorRegistry = REGISTRY
        if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            forget_dead(Path(folder))
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def forget_dead(folder: Path) -> None:
    """Remove the live gauges of processes that have ended from `folder`, which the workers share."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _add_errors(app: Flask) -> None:
    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        return Response(error.to_bytes(), error.status, error.headers, content_type=PROBLEM_TYPE)

    @app.errorhandler(NotServing)
    @app.errorhandler(JournalError)
    def unavailable(error: Exception) -> Response:
        answer = problem(Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))
        answer.headers["Retry-After"] = "2"
        return answer

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        answer = problem(Problem(HTTPStatus(error.code or 500), error.description or ""))
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            answer.headers["Allow"] = ", ".join(sorted(allowed))
        return answer


def _add_metrics(app: Flask) -> None:
    @app.before_request
    def began() -> None:
        g.began = perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        metrics.HTTP_REQUESTS.labels(route, str(response.status_code)).inc()
        metrics.HTTP_SECONDS.labels(route).observe(perf_counter() - g.began)
        return response
