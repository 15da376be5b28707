"""What `make bench` measures: the product, servers that answer a constant, and four other servers of the same model."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mlflow.pyfunc

from tests import toy
from tests.processes import NOBODY, ROOT

PEERS = ROOT / "benchmarks" / "peers"


@dataclass
class Contender:
    """A server of the same model, and the request that it gets."""

    name: str
    command: list[str]
    path: str
    body: object
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    folder: Path = ROOT
    rates: dict[int, list[float]] = field(default_factory=dict)
    p99: dict[int, list[float]] = field(default_factory=dict)
    memory: float = 0.0


@dataclass(frozen=True)
class Peer:
    """Another project's model server, in its own environment."""

    name: str
    packages: tuple[str, ...]

    def environment(self, root: Path, uv: str) -> Path:
        """Return the folder of its programs; the environment is made on first use."""
        home = root / self.name
        if not (home / "bin" / "python").exists():
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", str(home), *self.packages], check=True)
        return home / "bin"


def contenders(work: Path, peers: Path, uv: str) -> list[Contender]:
    """Train a model as the demo does; return the product, three servers of a constant, and the peers, all with it."""
    model = toy.train(work / "bundle", rows=10_000, trials=50)
    record = {f.name: f.example for f in model.use_case.features if f.required}
    row = [0.0 if math.isnan(v) else v for v in model.training.encoder.row(record)]  # JSON has no NaN
    dense = [row]
    data = work / "data"
    run_id = toy.cache_in(data, model)
    ours = {"RUN_ID": run_id, "DATA_FOLDER": str(data), "MLFLOW_ADDRESS": NOBODY, "SCORER_THREADS": "1"}
    onnx = {"MODEL": str(work / "bundle" / "model.onnx")}
    python, tools = sys.executable, Path(sys.executable).parent
    mlserver, bento, lit = (
        Peer(name, packages).environment(peers, uv)
        for name, packages in (
            ("mlserver", ("mlserver==1.7.1", "onnxruntime==1.31.1")),
            ("bentoml", ("bentoml==1.4.39", "onnxruntime==1.31.1")),
            ("litserve", ("litserve==0.2.19", "onnxruntime==1.31.1")),
        )
    )
    v2 = {"inputs": [{"name": "rows", "shape": [1, len(row)], "datatype": "FP32", "data": row}]}
    baseline = [python, "-m", "benchmarks.peers.baselines"]
    serve = [str(tools / "mlflow"), "models", "serve", "-m", str(pyfunc(work)), "--env-manager", "local",
             "--workers", "1", "-p", "PORT"]  # fmt: skip
    v2_server = [str(mlserver / "mlserver"), "start", str(mlserver_folder(work))]
    bento_server = [str(bento / "bentoml"), "serve", "bentoml_service:Churn", "--host", "127.0.0.1", "--port", "PORT"]
    lit_server = [str(lit / "python"), "litserve_api.py"]
    return [
        Contender("Scorehouse /predict", [python, "-m", "server.web"], "/predict", record, ours),
        Contender("own server, a constant", [*baseline, "OwnDoor"], "/predict", record),
        Contender("bare WSGI, a constant", [*baseline, "bare"], "/predict", record),
        Contender("Flask route, a constant", [*baseline, "flask"], "/predict", record),
        Contender("mlflow models serve", serve, "/invocations", {"dataframe_records": [record]}),
        Contender("MLServer", v2_server, "/v2/models/churn/infer", v2, onnx),
        Contender("BentoML", bento_server, "/predict", {"rows": dense}, onnx, folder=PEERS),
        Contender("LitServe", lit_server, "/predict", {"rows": dense}, onnx, folder=PEERS),
    ]


def pyfunc(work: Path) -> Path:
    """Save the bundle as the MLflow model that training logs."""
    folder = work / "pyfunc"
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(ROOT / "model_orchestration" / "tracking" / "pyfunc_model.py"),
        artifacts={"bundle": str(work / "bundle")},
        code_paths=[str(ROOT / "src" / "scorehouse"), str(ROOT / "use_cases")],
        pip_requirements=[],
    )
    return folder


def mlserver_folder(work: Path) -> Path:
    """Write MLServer's settings, and return their folder."""
    folder = work / "mlserver"
    folder.mkdir()
    shutil.copy(PEERS / "mlserver_model.py", folder)
    settings = {"name": "churn", "implementation": "mlserver_model.OnnxModel"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder
