"""The monitor's HTTP routes: the page, the metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
from flask import Flask, Response, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from monitoring.evidently_service.site import page
from monitoring.evidently_service.windows.follower import Follower
from monitoring.evidently_service.windows.served import Served
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase

DASHBOARD = "U54hsxv7k"
# No script at all, and nothing from other hosts. The bars have their widths as inline styles.
POLICY = "; ".join([
    "default-src 'none'", "style-src 'self' 'unsafe-inline'", "img-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'",
])  # fmt: skip
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}


def create_app(
    follower: Follower, served: Served, use_case: UseCase, settings: Settings, alive: Callable[[], bool]
) -> Flask:
    """Return the application; it only reads what the other threads have prepared."""
    app = Flask(__name__)
    app.jinja_env.filters["clock"] = page.clock

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    def readiness(ok: bool) -> Response:
        body = {
            "status": "ready" if ok else "not ready",
            "problem": follower.problem,
            "use_case": use_case.name,
            "model_run_id": served.run_id,
            "refused": served.refused,
            "runs": [watch.run_id for watch in follower.watches],
            "unwatched": {run_id: why for run_id, (why, _) in follower.unwatched.items()},
        }
        return Response(orjson.dumps(body), 200 if ok else 503, mimetype="application/json")

    @app.get("/healthz")
    def healthz() -> Response:
        body = orjson.dumps({"status": "alive" if alive() else "its loop ended"})
        return Response(body, 200 if alive() else 503, mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        return readiness(follower.problem is None)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def front() -> str:
        watches = follower.watches
        watch = next((w for w in watches if w.run_id == request.args.get("run")), watches[0] if watches else None)
        evaluation = watch.evaluation if watch else None
        return render_template(
            "monitor.html",
            use_case=use_case,
            watch=watch,
            watches=watches,
            follower=follower,
            evaluation=evaluation,
            headline=page.headline(watch),
            notices=page.notices(watch, evaluation) if watch and evaluation else [],
            assumptions=page.assumptions(watch) if watch else [],
            columns=page.columns(watch, evaluation, use_case) if watch and evaluation else [],
            figures=page.figures(watch) if watch else [],
            links=_links(settings, request.host, watch, by_path="X-Forwarded-Prefix" in request.headers),
            now=datetime.now(UTC).timestamp(),
        )

    return app


def _links(settings: Settings, host: str, watch: Watch | None, by_path: bool) -> dict[str, str]:
    """Addresses of the other pages: on the host of the request, unless the settings name another.

    Behind the gateway (`by_path`) all pages are on one port, and metrics are not shown.
    """
    if by_path:
        return _links_by_path(settings, watch)
    requested = urlsplit(f"//{host}").hostname or host
    cloud, serve = (requested if a in ("127.0.0.1", "localhost") else a for a in _hosts(settings))
    return {
        **_dashboard(settings, f"http://{serve}:3000", watch),
        "Reports": f"http://{cloud}:8888/",
        "Scorer": f"http://{serve}:{settings.scorer_port}/",
        "Model": f"http://{cloud}:5051/#/models/{settings.use_case}",
        "Metrics": "metrics",
    }


def _links_by_path(settings: Settings, watch: Watch | None) -> dict[str, str]:
    return {
        **_dashboard(settings, "../grafana", watch),
        "Reports": "../reports/",
        "Scorer": "../",
        "Model": f"../mlflow/#/models/{settings.use_case}",
        "All pages": "../pages",
    }


def _dashboard(settings: Settings, grafana: str, watch: Watch | None) -> dict[str, str]:
    """The link to Grafana, where it runs."""
    run = f"?var-model_run_id={watch.run_id}" if watch else ""
    return {"Dashboard": f"{grafana}/d/{DASHBOARD}{run}"} if settings.grafana_runs else {}


def _hosts(settings: Settings) -> tuple[str, str]:
    return settings.cloud_address, settings.serve_address
