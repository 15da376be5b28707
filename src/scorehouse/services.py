"""Every process of the stack, declared once: its port, its readiness check, and what its page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scorehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """A process that listens, named as in the Compose files and the Procfile.

    `port` names a setting if the process is our own; processes from images of others have a fixed port on the host.
    `ready` is the path that answers 200 once the process is ready, and `page` the path that people open.
    """

    name: str
    port: str | int
    shows: str
    host: Literal["serve_address", "cloud_address"] = "serve_address"
    ready: str = "/readyz"
    page: str = "/"
    door: bool = False  # it takes records and answers them
    follows: bool = False  # a deployment waits until it serves the deployed run; doors do, and the monitor
    scraped: bool = False  # Prometheus collects its /metrics; the job has the service's name
    scheme: str = "http"

    def port_in(self, settings: Settings) -> int:
        """Return the port on which it listens outside containers."""
        return self.port if isinstance(self.port, int) else int(getattr(settings, self.port))

    @property
    def container_port(self) -> int:
        """The port on which it listens inside its container: the setting's default, for our own processes."""
        return self.port if isinstance(self.port, int) else int(Settings.model_fields[self.port].default)

    def address(self, settings: Settings) -> str:
        """Return its address without a path, as this machine reaches it."""
        return f"{self.scheme}://{getattr(settings, self.host)}:{self.port_in(settings)}"


_SERVICES = (
    Service("scorer", "scorer_port", "the model behind a form; API documentation at /docs",
            door=True, follows=True, scraped=True),
    Service("stream", "stream_metrics_port",
            "readiness of the stream scorer, with the reason if it is not ready; metrics at /metrics",
            page="/readyz", door=True, follows=True, scraped=True),
    Service("web_service", "web_service_port", "insurance web pages: offers for new and existing customers"),
    Service("gateway", 8000, "every page and the scorer for other machines, with a key (see below)",
            ready="/healthz", page="/pages"),
    Service("mlflow", 5051, "trials and models, with the data they were trained on",
            host="cloud_address", ready="/health"),
    Service("prefect", 4200, "scheduled trainings and reports",
            host="cloud_address", ready="/api/ready"),
    Service("monitor", "monitor_port", "what drifts, since when, and by how much", follows=True, scraped=True),
    Service("reports", "report_port", "reports: what drifted, and how good the predictions were",
            host="cloud_address", ready="/"),
    Service("grafana", 3000, "health at a glance; drift at /d/U54hsxv7k (user admin, password: see below)",
            ready="/api/health"),
    Service("prometheus", 9091, "metrics and their sources", ready="/-/ready", page="/targets"),
    Service("alertmanager", 9093, "alerts that are firing", ready="/-/ready"),
    Service("shipper", "shipper_metrics_port", "metrics of the path from the journal to the store",
            ready="/metrics", page="/metrics", scraped=True),
    Service("worker", 8081, "health of the worker that trains", host="cloud_address", ready="/health", page="/health"),
    Service("localstack", 4566, "Kinesis and S3, for aws --endpoint-url", host="cloud_address",
            ready="/_localstack/health", page=""),
    Service("mongodb", 27018, "the prediction log (user scorehouse, password: see below)",
            ready="", page="", scheme="mongodb"),
)  # fmt: skip
SERVICES: Mapping[str, Service] = {service.name: service for service in _SERVICES}
