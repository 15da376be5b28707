"""What pushed one answer up or down: XGBoost's contributions (TreeSHAP), from the bundle's native file."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any

from scorehouse.bundles.bundle import Bundle
from scorehouse.errors import BundleError
from scorehouse.scoring.classes import likeliest
from scorehouse.scoring.encoding import Matrix
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Prediction
from scorehouse.serving.serving import Model
from scorehouse.usecase import plain
from server.web.api.problems import Problem, refusal
from server.web.site.trees import Trees

NATIVE = "model.ubj"
_SCALES = {"binary:logistic": "log-odds", "reg:gamma": "logarithm", "reg:tweedie": "logarithm"}
BEFORE_ROUNDING = "before rounding"  # to the nearest of ordered classes
AS_ANSWERED = "as answered"  # the scale of objectives that predict the answer itself
# The logarithm of the answered class's chance, less the mean of the logarithms of all classes' chances.
LOG_CHANCE = "logarithm of the chance"


def load_trees(bundle: Bundle) -> Trees:
    """Return the bundle's trees. Raises Problem: 404 if they cannot explain one answer, 503 if they are damaged."""
    if NATIVE not in bundle.manifest.files:
        raise _unexplained(bundle, "only XGBoost models are supported")
    try:
        trees = Trees(bundle.folder / NATIVE)
    except BundleError as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    return trees


class Explainer:
    """Explains the answers of any model; keeps the trees of the last one, loaded at first use."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._lock = Lock()
        self._loaded: tuple[str, Trees] | None = None

    def explain(self, model: Model, record: Any, prediction: Prediction) -> dict[str, Any]:
        """Return the base of the answer to one record, and each column's contribution, largest first.

        Base and contributions add up to the answer, on the scale that is named. They reveal the answer, so the route
        journals it. Of several classes, they are those of the likeliest one in `prediction`.

        Raises:
            Problem: 422 for a record that cannot be scored, 404 for a model that cannot be explained.
        """
        checked = model.scorer.schema.check(record)
        if isinstance(checked, Rejected):
            raise refusal(checked)
        rows = model.scorer.rows([checked])
        scale, (*parts, base) = self._contributions(model, rows, prediction)
        values: Mapping[str, Any] = {**record, **model.scorer.derive(checked)}
        explained = [
            {"feature": column.name, "value": plain(values.get(column.source)), "contribution": round(part, 6)}
            for column, part in zip(model.scorer.encoder.columns, parts, strict=True)
        ]
        return {
            "scale": scale,
            "base": round(base, 6),
            "contributions": sorted(explained, key=lambda e: -abs(e["contribution"])),
        }

    def require_trees(self, model: Model) -> None:
        """Raise Problem (404 or 503) if the answers of `model` cannot be explained."""
        with self._lock:
            self._trees(model)

    def _trees(self, model: Model) -> Trees:
        if self._loaded is None or self._loaded[0] != model.run_id:
            self._loaded = (model.run_id, load_trees(model.bundle))
        return self._loaded[1]

    def _contributions(self, model: Model, rows: Matrix, prediction: Prediction) -> tuple[str, list[float]]:
        with self._lock:
            trees = self._trees(model)
            groups = trees.contributions(rows)[0]
        if isinstance(prediction, list):  # margins of classes say nothing by themselves, only compared with each other
            of_class: list[float] = (groups - groups.mean(axis=0))[likeliest(prediction)].tolist()
            return LOG_CHANCE, of_class
        parts: list[float] = groups[0].tolist()
        if model.bundle.manifest.task == "ordinal":
            return BEFORE_ROUNDING, parts
        return _SCALES.get(trees.objective, AS_ANSWERED), parts


def _unexplained(bundle: Bundle, why: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND, f"predictions of this {bundle.manifest.family} model cannot be explained; {why}"
    )
