"""The whole HTTP door in this process: a real model and a real journal behind a WSGI client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from werkzeug.test import Client, TestResponse

from scorehouse.serving.deployment import Deployment
from scorehouse.serving.process import open_serving
from scorehouse.serving.serving import Serving
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase
from server.web.main import create_app


@dataclass
class Door:
    """The door, its parts, and what it wrote."""

    client: Client
    serving: Serving
    deployment: Deployment
    settings: Settings

    def post(self, path: str, value: Any) -> TestResponse:
        """Post `value` as JSON; bytes go as they are."""
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        return self.client.post(path, data=body, content_type="application/json")

    def journalled(self) -> list[dict[str, Any]]:
        """Return every line of the journal."""
        files = sorted(self.settings.journal_folder.glob("*.jsonl"))
        return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def empty_door(use_case: UseCase, folder: Path) -> Door:
    """Return a door that serves nothing yet, and writes into `folder`."""
    settings = Settings(use_case=use_case.name, data_folder=folder, max_records=100, max_body_bytes=200_000)
    use_case, serving, deployment = open_serving(settings.serving, "http")
    app = create_app(use_case, serving, deployment, settings)
    return Door(Client(app.wsgi_app), serving, deployment, settings)
