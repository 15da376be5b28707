"""The Prefect flow `model_tuning_and_uploading` against a real MLflow: what it leaves there, and that it is whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import orjson
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from scorehouse.bundles.bundle import MANIFEST, Bundle, load
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Registry
from tests import signing
from tests import toy as toys
from tests.integration.conftest import train
from tests.servers import Server
from tests.toy import ROOT


@pytest.fixture(scope="module")
def registry(mlflow_server: Server) -> Registry:
    return Registry(mlflow_server.address)


@pytest.fixture(scope="module")
def bundle(registry: Registry, trained_run: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    cache = BundleCache(tmp_path_factory.mktemp("bundles"), registry, Trust((signing.PUBLIC,)))
    return cache.load(registry.version_of_run("churn", trained_run))


def test_the_registered_versions_digest_is_that_of_the_bundle(registry: Registry, trained_run: str) -> None:
    version = registry.version_of_run("churn", trained_run)
    manifest = registry.artifact(trained_run, f"bundle/{MANIFEST}")
    assert version.run_id == trained_run
    assert version.digest == hashlib.sha256(manifest).hexdigest()


def test_the_bundle_is_whole_and_passes_every_check_of_a_door(bundle: Bundle, trained_run: str) -> None:
    use_case = load_use_case("churn")
    assert load(bundle.folder, bundle.digest).manifest.run_id == trained_run
    answers = bundle.scorer(use_case).score(toys.records(use_case, 50))
    assert all(isinstance(a, float) and 0 <= a <= 1 for a in answers)
    assert bundle.manifest.quality["test_auc"] > 0.8
    assert sum(bundle.manifest.rows.values()) == 1500
    assert len(bundle.reference.rows) == bundle.manifest.rows["training"] + bundle.manifest.rows["validation"]


def test_the_runs_carry_parameters_figures_data_and_code(mlflow_server: Server, trained_run: str) -> None:
    def ask(path: str, **body: object) -> dict[str, object]:
        answer = requests.post(f"{mlflow_server.address}/api/2.0/mlflow/{path}", json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, object] = answer.json()
        return found

    address = f"{mlflow_server.address}/api/2.0/mlflow/runs/get"
    run = requests.get(address, params={"run_id": trained_run}, timeout=30).json()["run"]
    tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
    assert {"use_case", "data", "data_hash", "code", "mlflow.parentRunId"} <= set(tags)
    assert run["info"]["status"] == "FINISHED"
    assert {"test_auc", "oof_brier", "valid_log_loss"} <= {m["key"] for m in run["data"]["metrics"]}
    wanted = f"tags.`mlflow.parentRunId` = '{tags['mlflow.parentRunId']}' and tags.kind = 'trial'"
    trials = ask("runs/search", experiment_ids=[run["info"]["experiment_id"]], filter=wanted)["runs"]
    assert isinstance(trials, list) and len(trials) == 3
    for trial in trials:
        assert {"learning_rate", "max_depth", "rounds"} <= {p["key"] for p in trial["data"]["params"]}
        assert "valid_log_loss" in {m["key"] for m in trial["data"]["metrics"]}


def test_plots_are_stored_beside_the_bundle(registry: Registry, trained_run: str) -> None:
    for name in ("roc", "calibration", "importance", "search"):
        assert registry.artifact(trained_run, f"plots/{name}.png")[:4] == b"\x89PNG"


def test_pyfunc_loads_in_a_process_that_knows_nothing_of_this_checkout(
    mlflow_server: Server, trained_run: str, bundle: Bundle, tmp_path: Path
) -> None:
    use_case = load_use_case("churn")
    records = toys.records(use_case, 30)
    program = f"""
        import sys
        import orjson
        sys.path[:] = [p for p in sys.path if p not in {[str(ROOT), str(ROOT / "src")]!r}]
        import mlflow, pandas as pd
        mlflow.set_tracking_uri({mlflow_server.address!r})
        model = mlflow.pyfunc.load_model("runs:/{trained_run}/model")
        import scorehouse, use_cases
        assert not scorehouse.__file__.startswith({str(ROOT)!r}), scorehouse.__file__
        records = orjson.loads(sys.stdin.buffer.read())
        sys.stdout.buffer.write(orjson.dumps([float(p) for p in model.predict(pd.DataFrame(records))]))
    """
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(program)],
        cwd=tmp_path, env=environ, input=orjson.dumps(records), capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    assert orjson.loads(ended.stdout) == pytest.approx(bundle.scorer(use_case).score(records), abs=1e-6)


def test_a_table_that_cannot_be_trained_on_ends_the_command_with_one_clear_report(
    training_environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    ended = train({**training_environ, "DATA": str(tmp_path / "table.csv")})
    assert ended.returncode == 1
    said = [line for line in ended.stderr.splitlines() if line.startswith("training: ")]
    assert len(said) == 1 and "the table has no columns 'CLIENTNUM', " in said[0]
    assert ended.stderr.splitlines() == said and not ended.stdout


def test_config_json_beside_the_table_tunes_the_next_training(
    mlflow_server: Server, training_environ: dict[str, str], tmp_path: Path
) -> None:
    pd.DataFrame(load_use_case("churn").sample(800, 3, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    said = {"training_rounds": 2, "model_registry_name": "churn-trial", "xgboost_rounds": 40,
            "search_space": {"xgboost": {"max_depth": [3, 4]}}}  # fmt: skip
    (tmp_path / "config.json").write_bytes(orjson.dumps(said))
    environ = {**training_environ, "DATA": str(tmp_path / "table.csv"), "TRIALS": "5"}
    ended = train(environ)
    assert ended.returncode == 0, ended.stderr[-4000:]
    run_id = ended.stdout.removesuffix("\n")
    assert len(run_id) == 32  # nothing else is printed
    client = MlflowClient(mlflow_server.address)
    run = client.get_run(run_id)
    assert run.data.tags["configuration"].startswith(f"{tmp_path}/config.json: ")
    assert run.data.params["max_depth"] in {"3", "4"} and int(run.data.params["rounds"]) <= 40
    parent = run.data.tags["mlflow.parentRunId"]
    wanted = f"tags.`mlflow.parentRunId` = '{parent}' and tags.kind = 'trial'"
    assert len(client.search_runs([run.info.experiment_id], wanted)) == 2
    assert [v.tags["bundle_digest"] for v in client.search_model_versions("name = 'churn-trial'")] == [
        v.tags["bundle_digest"] for v in client.search_model_versions(f"run_id = '{run_id}' and name = 'churn'")
    ]

    (tmp_path / "config.json").write_text('{"training_round": 2, "search_space": {"xgboost": {"max_depth": [9, 3]}}}')
    ended = train(environ)
    assert ended.returncode == 1
    assert "training_round: unknown key; did you mean 'training_rounds'?" in ended.stderr


def test_the_best_of_several_families_are_each_retrained_logged_and_registered(
    mlflow_server: Server, training_environ: dict[str, str], tmp_path: Path
) -> None:
    pd.DataFrame(load_use_case("flights").sample(600, 3, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    ended = train({**training_environ, "USE_CASE": "flights", "DATA": str(tmp_path / "table.csv"), "TRIALS": "12"})
    assert ended.returncode == 0, ended.stderr[-4000:]
    client, best = MlflowClient(mlflow_server.address), ended.stdout.split()[-1]
    run = client.get_run(best)
    of = f"tags.`mlflow.parentRunId` = '{run.data.tags['mlflow.parentRunId']}'"
    trials = client.search_runs([run.info.experiment_id], f"{of} and tags.kind = 'trial'")
    assert len({t.data.params["family"] for t in trials}) >= 3
    models = client.search_runs([run.info.experiment_id], f"{of} and tags.kind = 'model'")
    assert len(models) == 3
    assert sorted(v.run_id for v in client.search_model_versions("name = 'flights'")) == sorted(
        m.info.run_id for m in models
    )
    ranked = sorted(trials, key=lambda t: t.data.metrics["valid_rmse"])
    tried = {(t.data.params["family"], round(t.data.metrics["valid_rmse"], 6)) for t in ranked[:3]}
    assert {(m.data.params["family"], round(m.data.metrics["valid_rmse"], 6)) for m in models} == tried
    for model in models:
        files = {f.path for f in client.list_artifacts(model.info.run_id, "bundle")}
        assert {"bundle/bundle.json", "bundle/model.onnx", "bundle/reference.json.gz"} <= files
    assert run.data.metrics["valid_rmse"] == min(m.data.metrics["valid_rmse"] for m in models)
