"""Draws a column's reference and window as bars in a small inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup, escape

from monitoring.evidently_service.drift.statistics import Floats, Sample, paired_counts

MOST_VALUES = 12  # a column with more distinct values is shown in bins
BINS = 18
WIDTH, HEIGHT, GAP = 280.0, 72.0, 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One value or bin: its label, and its share of the reference's and of the window's rows, 0..1."""

    label: str
    reference: float
    window: float


def bars(reference: Sample, window: Sample, labels: Mapping[float, str]) -> list[Bar]:
    """Return a column's bars, with a last one for missing values if there are any; `labels` name its codes."""
    values = np.union1d(reference.distinct[0], window.distinct[0])
    if reference.kind == "category" or len(values) <= MOST_VALUES:
        expected, seen = paired_counts(reference, window)
        names = [labels.get(float(v), _number(float(v))) for v in values]
    else:
        edges = _edges(reference.present, window.present)
        expected, seen = (_binned(side.present, edges) for side in (reference, window))
        names = [f"{_number(low)} to {_number(high)}" for low, high in pairwise(edges.tolist())]
    drawn = [
        Bar(name, e / max(reference.rows, 1), s / max(window.rows, 1))
        for name, e, s in zip(names, expected.tolist(), seen.tolist(), strict=True)
    ]
    if reference.missing or window.missing:
        drawn.append(Bar("missing", reference.missing / max(reference.rows, 1), window.missing / max(window.rows, 1)))
    return drawn


def svg(name: str, drawn: list[Bar]) -> Markup:
    """Return the drawing: wide bars for the reference, and narrow ones in front of them for the window."""
    highest = max((max(b.reference, b.window) for b in drawn), default=0.0) or 1.0
    step = WIDTH / max(len(drawn), 1)
    parts = []
    for place, bar in enumerate(drawn):
        x = place * step
        text = escape(f"{bar.label}: {bar.reference:.1%} of the training data, {bar.window:.1%} of the window")
        behind = _rect("reference", x + GAP / 2, step - GAP, bar.reference / highest)
        front = _rect("window", x + step * 0.3, step * 0.4, bar.window / highest)
        parts.append(f"<g><title>{text}</title>{_rect('all', x, step, 1.0)}{behind}{front}</g>")
    label = escape(f"{name}: training data and window")
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="histogram" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def _number(value: float) -> str:
    # Four digits have no comma, because they may be a year.
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _rect(kind: str, x: float, width: float, share: float) -> str:
    height = HEIGHT * share
    return f'<rect class="{kind}" x="{x:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _edges(reference: Floats, window: Floats) -> Floats:
    """Equal bins over the middle 98 % of both sides; values outside are counted in the first or last bin."""
    sides = [side for side in (reference, window) if len(side)]
    low = min(float(np.quantile(side, 0.01)) for side in sides)
    high = max(float(np.quantile(side, 0.99)) for side in sides)
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def _binned(present: Floats, edges: Floats) -> Floats:
    return np.histogram(np.clip(present, edges[0], edges[-1]), edges)[0].astype(np.float64)
