"""The HTTP door as SageMaker starts it, `serve` in the image: its bundle is in /opt/ml/model, and needs no registry."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scorehouse.bundles.bundle import MANIFEST
from scorehouse.bundles.cache import BundleCache, load_packed
from scorehouse.bundles.signatures import Trust
from scorehouse.environment import settings_or_exit
from scorehouse.errors import BundleError, CacheUnavailable
from scorehouse.registry.client import Registry
from server.web.__main__ import main as serve

MODEL = "/opt/ml/model"  # unless SAGEMAKER_MODEL names another folder
PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"


def environment(model: Path, given: Mapping[str, str], trust: Trust) -> dict[str, str]:
    """Copy the bundle in `model`, or in a folder of it, into the cache of the door; return the door's environment.

    The variables in `given` are kept, except those that SageMaker and the bundle decide: port, run and use case.

    Raises:
        BundleError: there is no bundle, or it is damaged, or `trust` refuses it.
        CacheUnavailable: DATA_FOLDER cannot be written.
    """
    manifests = sorted(model.glob(f"**/{MANIFEST}"))
    if len(manifests) != 1:
        raise BundleError(
            f"{model} contains {len(manifests) or 'no'} {MANIFEST}: pack one run's bundle into model.tar.gz"
        )
    packed, version = load_packed(manifests[0].parent, trust)
    run_id, use_case = packed.manifest.run_id, packed.manifest.use_case
    variables = {"DATA_FOLDER": "/tmp/scorehouse", "BIND_ADDRESS": "0.0.0.0", **{k: v for k, v in given.items() if v}}  # noqa: S104, S108
    port = given.get(PORT_VARIABLE) or "8080"
    variables |= {"SCORER_PORT": port, "RUN_ID": run_id, "USE_CASE": use_case}
    folder = Path(variables["DATA_FOLDER"]) / "bundles"
    try:
        (folder / run_id).mkdir(parents=True, exist_ok=True)
        for name in (*packed.manifest.files, MANIFEST):
            (folder / run_id / name).write_bytes((packed.folder / name).read_bytes())
    except OSError as error:
        raise CacheUnavailable(f"DATA_FOLDER={variables['DATA_FOLDER']} cannot be written: {error.strerror}") from error
    BundleCache(folder, Registry("http://127.0.0.1"), trust).remember(use_case, run_id, version)
    return variables


def main() -> None:
    """Serve the packed model until SIGTERM."""
    try:
        model = Path(os.environ.get("SAGEMAKER_MODEL") or MODEL)
        os.environ.update(environment(model, os.environ, Trust.of(settings_or_exit())))
    except (BundleError, CacheUnavailable) as error:
        sys.exit(f"cannot serve: {error}")
    serve()


if __name__ == "__main__":
    main()
