"""The registry's client bounds what it reads, and takes address and login from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests
from requests.adapters import BaseAdapter

from scorehouse.errors import BundleError, RegistryUnavailable
from scorehouse.registry.client import Registry
from scorehouse.settings import ServingSettings

RUN = orjson.dumps({"run": {"info": {"artifact_uri": "mlflow-artifacts:/1/run/artifacts"}}})


class Endless:
    """A body of `size` bytes that counts how many were read, and may break off."""

    def __init__(self, size: int, breaks: bool = False):
        self.size, self.breaks, self.read = size, breaks, 0

    def stream(self, amount: int, decode_content: bool = True) -> Iterator[bytes]:
        while self.read < self.size:
            part = bytes(min(amount, self.size - self.read))
            self.read += len(part)
            yield part
        if self.breaks:
            raise requests.exceptions.ChunkedEncodingError("it broke off")

    def close(self) -> None:
        """Nothing is open."""

    release_conn = close


class Mlflow(BaseAdapter):
    """Answers every request for an artifact with `body`."""

    def __init__(self, body: Endless):
        super().__init__()
        self.body = body

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        answer = requests.Response()
        answer.status_code = 200
        if "artifacts" in str(request.url):
            answer.raw = self.body
        else:
            answer._content = RUN
        return answer

    def close(self) -> None:
        """Nothing is open."""


def registry(body: Endless) -> Registry:
    one = Registry("http://mlflow")
    one._session.mount("http://", Mlflow(body))
    return one


def test_an_artifact_is_read_up_to_a_limit_and_no_further() -> None:
    assert len(registry(Endless(3 * 2**20)).artifact("r", "model.onnx", 3 * 2**20)) == 3 * 2**20
    endless = Endless(2**40)
    with pytest.raises(BundleError, match=r"file model.onnx in run r has more than 3,145,728 bytes: deploy another"):
        registry(endless).artifact("r", "model.onnx", 3 * 2**20)
    assert endless.read <= 4 * 2**20


def test_an_artifact_that_breaks_off_is_worth_another_try() -> None:
    with pytest.raises(RegistryUnavailable, match=r"mlflow is not responding \(ChunkedEncodingError\)"):
        registry(Endless(10, breaks=True)).artifact("r", "model.onnx")


def test_the_settings_name_address_and_login() -> None:
    settings = ServingSettings(mlflow_address="http://house:5051", mlflow_tracking_password="secret")
    one = Registry.of(settings, timeout=30.0)
    assert (one.address, one._timeout) == ("http://house:5051", 30.0)
    assert one._session.auth == settings.mlflow_login
