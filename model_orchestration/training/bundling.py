"""Writes the bundle of a trained model. It does not need MLflow, so tests can train and write real bundles."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from model_orchestration.tables.training_table import SPLITS, describe_split
from model_orchestration.training.training import Trained, Training
from scorehouse.bundles import bundle
from scorehouse.bundles.bundle import ONNX, REFERENCE, Manifest

LIBRARIES = ("numpy", "onnxruntime", "orjson", "pydantic", "prometheus-client", "requests", "pandas", "mlflow")


def write_bundle(
    folder: Path,
    run_id: str,
    training: Training,
    trained: Trained,
    commit: str,
    created_at: datetime,
    test_uses: int = 0,
) -> str:
    """Write the bundle of `trained` into `folder`; return its digest.

    `test_uses` says how often the test rows have judged models before.
    """
    case, table = training.use_case, training.table
    manifest = Manifest(
        run_id=run_id, use_case=case.name, use_case_version=case.version, title=case.title, about=case.about,
        source=case.source, task=case.task, answer=case.answer, answer_unit=case.answer_unit,
        classes=list(case.classes),
        created_at=created_at, commit=commit, family=trained.family, parameters=trained.model.parameters,
        features=bundle.features_json(case.features), columns=training.encoder.to_json(),
        output=trained.output, quality=trained.quality, confusion=trained.confusion,
        rows={name: int((training.split == i).sum()) for i, name in enumerate(SPLITS)},
        split=describe_split(table, case, training.seed), test_uses=test_uses,
        data=table.source, data_hash=table.data_hash,
        libraries={name: version(name) for name in LIBRARIES},
    )  # fmt: skip
    native = trained.model.native()
    files = {ONNX: trained.onnx, REFERENCE: trained.reference.to_bytes()} | (dict([native]) if native else {})
    return bundle.write(folder, manifest, files)
