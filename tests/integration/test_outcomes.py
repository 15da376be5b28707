"""TRAIN_ON_OUTCOMES with the real flow: what the store knows is in the model's table, and its card says so."""

from __future__ import annotations

from pathlib import Path

import orjson
import pandas as pd

from scorehouse.bundles.bundle import MANIFEST
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Registry
from scorehouse.stores.sqlite_store import SqliteStore
from tests import toy as toys
from tests.integration.conftest import train
from tests.servers import Server


def test_a_training_learns_from_the_stores_outcomes_if_the_settings_say_so(
    training_environ: dict[str, str], mlflow_server: Server, tmp_path: Path
) -> None:
    use_case = load_use_case("churn")
    known = toys.table(use_case, 300, seed=5)
    now = "2026-11-21T12:00:00+00:00"
    store = SqliteStore(tmp_path / "predictions.db")
    store.add(
        [
            {"prediction_id": f"p{i}", "use_case": "churn", "model_run_id": toys.RUN_ID, "created_at": now,
             "door": "http", "record": record, "prediction": 0.5, "customer_id": None}
            for i, record in enumerate(known.records)
        ]
    )  # fmt: skip
    store.add_outcomes(
        [{"prediction_id": f"p{i}", "outcome": int(t), "outcome_at": now} for i, t in enumerate(known.truth)]
    )
    table = tmp_path / "table.csv"
    pd.DataFrame(use_case.sample(800, 1, 0.0)).to_csv(table, index=False)
    told = {"DATA": str(table), "TRIALS": "2", "DATA_FOLDER": str(tmp_path), "MONGODB_ADDRESS": ""}
    ended = train({**training_environ, **told, "TRAIN_ON_OUTCOMES": "true"})
    assert ended.returncode == 0, ended.stderr[-4000:]
    run_id = ended.stdout.split()[-1]
    manifest = orjson.loads(Registry(mlflow_server.address).artifact(run_id, f"bundle/{MANIFEST}"))
    assert manifest["data"].endswith("300 outcomes until 2026-11-21T12:00")
    assert sum(manifest["rows"].values()) == 1100
