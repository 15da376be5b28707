"""The plots of a training: the search, ROC curve, calibration, importance, confusion, and predicted against true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from model_orchestration.training.search import Trial
from model_orchestration.training.training import Trained, Training
from scorehouse.scoring.figures import figure_label

MOST_WRITTEN = 15  # classes up to which a confusion matrix has its shares written in
Floats = NDArray[np.float64]
INK, BLUE, ORANGE, GREY = "#1f2933", "#2b6cb0", "#dd6b20", "#cbd2d9"
COLOURS = (BLUE, ORANGE)
STYLE: Any = {
    "font.size": 11,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eef1f4",
    "axes.axisbelow": True,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}


class Plots:
    """Draws PNG files into one folder."""

    def __init__(self, folder: Path):
        """Create `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def draw(self, training: Training, trained: Trained, trials: list[Trial]) -> None:
        """Draw the plots that the task has."""
        with mpl.rc_context(STYLE):
            self._history(training.use_case.rank_by, trials)
            shares = trained.model.importance()
            if shares is not None:
                self._importance(training.encoder.names, shares)
            if training.use_case.task == "binary":
                self._roc(trained)
                self._calibration(trained)
            elif training.use_case.classes:
                names = [str(name) for name in training.use_case.classes]
                self._confusion(trained, names)
                self._class_calibration(trained)
            else:
                self._predicted_against_true(trained)

    def _roc(self, trained: Trained) -> None:
        figure, ax = _axes("ROC curve on the test rows", (5.6, 5.4))
        for colour, (name, chance) in zip(COLOURS, trained.test_predictions.items(), strict=False):
            auc = trained.quality.get("test_auc" if name == "all fields" else "test_required_only_auc")
            if auc is None:  # all test rows have the same outcome
                continue
            false_positive_rate, true_positive_rate, _ = roc_curve(trained.test_truth, chance)
            ax.plot(false_positive_rate, true_positive_rate, color=colour, lw=2, label=f"{name}: AUC {auc:.3f}")
        ax.plot([0, 1], [0, 1], color=GREY, lw=1)
        ax.set(xlabel="false positive rate", ylabel="true positive rate")
        ax.legend(frameon=False, loc="lower right")
        self._save(figure, "roc")

    def _calibration(self, trained: Trained) -> None:
        self._calibrate([(name, chance, trained.test_truth) for name, chance in trained.test_predictions.items()])

    def _calibrate(self, lines: Sequence[tuple[str, Floats, Floats]]) -> None:
        figure, ax = _axes("Calibration on the test rows", (5.6, 5.4))
        ax.plot([0, 1], [0, 1], color=GREY, lw=1)
        for colour, (name, chance, truth) in zip(COLOURS, lines, strict=False):
            # scikit-learn's calibration_curve does not return the size of each group, which the error bars need.
            groups = np.array_split(np.argsort(chance), 10)
            means = [chance[g].mean() for g in groups]
            rates = np.array([truth[g].mean() for g in groups])
            error = np.sqrt(rates * (1 - rates) / np.array([len(g) for g in groups]))
            ax.errorbar(means, rates, error, color=colour, fmt="o-", ms=5, lw=1.5, capsize=2, label=name)
        ax.set(xlabel="mean predicted probability", ylabel="observed rate")
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.legend(frameon=False, loc="upper left")
        self._save(figure, "calibration")

    def _confusion(self, trained: Trained, names: list[str]) -> None:
        counts = np.array(trained.confusion)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        side = max(4.5, 0.55 * len(names) + 2)
        figure, ax = _axes("Predicted classes of each true class, on the test rows", (side + 1, side))
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ax.grid(visible=False)
        ticks = range(len(names))
        ax.set_xticks(ticks, names, rotation=90 if len("".join(names)) > 60 else 0)
        ax.set_yticks(ticks, [f"{name} ({total:,})" for name, total in zip(names, counts.sum(axis=1), strict=True)])
        ax.set(xlabel="predicted", ylabel="true (test rows)")
        if len(names) <= MOST_WRITTEN:
            for (row, column), share in np.ndenumerate(shares):
                colour = "white" if share > 0.55 else INK
                ax.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour, size=9)
        self._save(figure, "confusion")

    def _class_calibration(self, trained: Trained) -> None:
        """Draw the chances of all classes together, each against how often its class is the true one."""
        chances = trained.test_predictions["all fields"]
        is_true = trained.test_truth[:, None] == np.arange(chances.shape[1])
        self._calibrate([("all classes", chances.ravel(), is_true.ravel().astype(float))])

    def _importance(self, names: list[str], shares: NDArray[np.float64]) -> None:
        order = np.argsort(shares)[-15:]
        figure, ax = _axes("Importance of the fields: share of the total gain", (7, 0.32 * len(order) + 1.2))
        ax.barh([names[i].replace("_", " ") for i in order], shares[order], color=BLUE)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.grid(axis="y", visible=False)
        self._save(figure, "importance")

    def _history(self, metric: str, trials: list[Trial]) -> None:
        figure, ax = _axes(f"The search: {figure_label(metric)} on the validation rows", (7, 4))
        values = [t.figures[metric] for t in trials]
        best = [trials[int(np.argmin([t.loss for t in trials[: i + 1]]))].figures[metric] for i in range(len(trials))]
        ax.plot(range(1, len(values) + 1), values, "o", color=BLUE, ms=4, alpha=0.6, label="trial")
        ax.step(range(1, len(best) + 1), best, where="post", color=ORANGE, lw=2, label="best so far")
        low, high = min(values), float(np.quantile(values, 0.9))
        ax.set(xlabel="trial", ylim=(low - 0.1 * (high - low) - 1e-9, high + 0.25 * (high - low) + 1e-9))
        ax.legend(frameon=False)
        self._save(figure, "search")

    def _predicted_against_true(self, trained: Trained) -> None:
        figure, ax = _axes("Predicted against true, on the test rows", (5.6, 5.4))
        predicted = trained.test_predictions["all fields"]
        ax.plot(trained.test_truth, predicted, "o", ms=2.5, alpha=0.25, color=BLUE, mec="none")
        ends = [min(trained.test_truth.min(), predicted.min()), max(trained.test_truth.max(), predicted.max())]
        ax.plot(ends, ends, color=GREY, lw=1)
        ax.set(xlabel="true", ylabel="predicted")
        self._save(figure, "predicted_against_true")

    def _save(self, figure: Figure, name: str) -> None:
        figure.savefig(self._folder / f"{name}.png", dpi=130, bbox_inches="tight", facecolor="white")


def _axes(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)  # without pyplot: it is safe in any thread, and no figure stays open
    ax = figure.add_subplot()
    ax.set_title(title, pad=12)
    return figure, ax
