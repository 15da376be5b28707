"""A small model made by hand, in a bundle like a trained one's: the libraries that train take seconds to import."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from model_orchestration.tables.training_table import TrainingTable
from scorehouse.bundles import bundle
from scorehouse.bundles.bundle import ONNX, REFERENCE, SMOKE_ROWS, Manifest
from scorehouse.bundles.reference import Reference
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.onnx_model import OnnxModel, Output
from scorehouse.scoring.quality import quality
from scorehouse.usecase import UseCase
from tests import signing
from tests.toy import OTHER_RUN_ID, RUN_ID, table

__all__ = ["OTHER_RUN_ID", "RUN_ID", "Toy", "made"]

NATIVE = "model.ubj"
ANSWER = Output(name="variable", link="logit")
# One tree of two leaves each: column, limit, log-odds at or below it (and where it is missing), log-odds above it.
TREES = (
    ("total_trans_ct", 55.0, 1.1, -1.2),
    ("total_trans_amt", 2500.0, -0.4, 0.3),
    ("total_ct_chng_q4_q1", 0.6, 0.7, -0.4),
    ("contacts_count_12_mon", 3.0, -0.3, 0.6),
    ("customer_age", 45.0, -0.1, 0.1),
    ("credit_limit", 4500.0, 0.2, -0.1),
)
BASE = -1.5


@dataclass(frozen=True, slots=True)
class Toy:
    """A model and its bundle on disk, and the rows that it is judged on: never write into `folder`, copy it."""

    use_case: UseCase
    table: TrainingTable
    reference: Reference
    folder: Path
    digest: str

    def bundle(self) -> bundle.Bundle:
        """Return the bundle, verified."""
        return bundle.load(self.folder, self.digest)


def made(folder: Path) -> Toy:
    """Write the bundle of RUN_ID into `folder`."""
    case = load_use_case("churn")
    rows, encoder = table(case, 800), Encoder.of(case.columns)
    model, encoded = onnx(encoder.names), encoder.rows(rows.records)
    predictions = np.asarray(OnnxModel(model, ANSWER)(encoded), dtype=np.float64)
    reference = Reference(encoded, predictions, rows.truth, predictions[:SMOKE_ROWS], predictions)
    manifest = Manifest(
        run_id=RUN_ID, use_case=case.name, use_case_version=case.version, title=case.title, about=case.about,
        source=case.source, task=case.task, answer=case.answer, answer_unit=case.answer_unit,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), commit="0" * 40, family="xgboost", parameters={},
        features=bundle.features_json(case.features), columns=encoder.to_json(), output=ANSWER,
        quality=_quality(rows.truth, predictions), rows={"training": 560, "validation": 120, "test": 120},
        data=rows.source, data_hash=rows.data_hash, libraries={},
    )  # fmt: skip
    files = {
        ONNX: model,
        REFERENCE: reference.to_bytes(),
        NATIVE: b"read by nobody here: the explanations' tests train",
    }
    digest = bundle.write(folder, manifest, files)
    (folder / signing.SIGNATURE).write_text(signing.signature(RUN_ID, digest))
    return Toy(case, rows, reference, folder, digest)


def onnx(columns: list[str]) -> bytes:
    """Return TREES as ONNX, written as the trained ones are: a missing value goes left."""
    trees, nodes = range(len(TREES)), len(TREES) * [0, 1, 2]
    leaves = [(tree, node, TREES[tree][node + 1]) for tree in trees for node in (1, 2)]
    features, limits = ([columns.index(t[0]) for t in TREES], [t[1] for t in TREES])
    node = make_node(
        "TreeEnsembleRegressor", ["rows"], [ANSWER.name], domain="ai.onnx.ml", base_values=[BASE], n_targets=1,
        nodes_treeids=[tree for tree in trees for _ in range(3)], nodes_nodeids=nodes,
        nodes_featureids=[n for f in features for n in (f, 0, 0)],
        nodes_values=[v for limit in limits for v in (limit, 0.0, 0.0)],
        nodes_modes=len(TREES) * ["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=len(TREES) * [1, 0, 0], nodes_falsenodeids=len(TREES) * [2, 0, 0],
        nodes_missing_value_tracks_true=len(TREES) * [1, 0, 0],
        target_treeids=[t for t, _, _ in leaves], target_nodeids=[n for _, n, _ in leaves],
        target_ids=[0] * len(leaves), target_weights=[w for _, _, w in leaves],
    )  # fmt: skip
    given = make_tensor_value_info("rows", TensorProto.FLOAT, [None, len(columns)])
    answer = make_tensor_value_info(ANSWER.name, TensorProto.FLOAT, [None, 1])
    graph, versions = (
        make_graph([node], "toy", [given], [answer]),
        [make_opsetid("ai.onnx.ml", 3), make_opsetid("", 15)],
    )
    return bytes(make_model(graph, opset_imports=versions, ir_version=8).SerializeToString())


def _quality(truth: NDArray[np.float64], chance: NDArray[np.float64]) -> dict[str, float]:
    figures = quality("binary", truth, chance)
    names = {f"test_{k}": v for k, v in figures.items()} | {f"oof_{k}": v for k, v in figures.items()}
    return names | {f"test_required_only_{k}": v for k, v in figures.items()}
