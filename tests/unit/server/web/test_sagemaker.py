"""A packed model becomes what the HTTP door serves, with no registry to ask."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.environment import read_settings
from scorehouse.errors import BundleError
from scorehouse.registry.client import Registry
from server.web.sagemaker import environment
from tests import signing
from tests.unit.toy import RUN_ID, Toy

TRUST = Trust((signing.PUBLIC,))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    return {"DATA_FOLDER": str(tmp_path / "data"), "PATH": "/bin", "MONGODB_ADDRESS": ""}


@pytest.mark.parametrize("inside", ["", "bundle"])
def test_the_door_serves_the_packed_run_where_mlflow_is_not(
    toy: Toy, tmp_path: Path, given: dict[str, str], inside: str
) -> None:
    shutil.copytree(toy.folder, tmp_path / "model" / inside)
    told = environment(tmp_path / "model", given, TRUST)
    settings = read_settings(told)
    assert (settings.run_id, settings.use_case, settings.scorer_port) == (RUN_ID, "churn", 8080)
    assert settings.bind_address == "0.0.0.0" and told["PATH"] == "/bin"
    cache = BundleCache(settings.bundle_folder, Registry("http://127.0.0.1:9", timeout=0.1), TRUST)
    served = cache.load(cache.resolve("churn", settings.run_id))
    assert served.digest == toy.digest


def test_sagemakers_own_port_is_taken_and_its_settings_stay(toy: Toy, given: dict[str, str]) -> None:
    told = environment(toy.folder, {**given, "SAGEMAKER_BIND_TO_PORT": "9001", "SCORER_WORKERS": "2"}, TRUST)
    assert (told["SCORER_PORT"], told["SCORER_WORKERS"]) == ("9001", "2")


def test_no_bundle_and_a_damaged_one_are_refused(toy: Toy, tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(BundleError, match=r"contains no bundle\.json: pack one"):
        environment(tmp_path, given, TRUST)
    shutil.copytree(toy.folder, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="damaged"):
        environment(tmp_path / "model", given, TRUST)
