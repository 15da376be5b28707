"""The comparison of challenger and champions in words: one line for the history, and a report in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from model_orchestration.promotion.comparison import RESAMPLES, Verdict
from scorehouse.scoring.figures import figure_label


def summarize(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    metric = figure_label(verdict.metric)
    ours = verdict.challenger.figures[verdict.metric]
    best, holder = next(iter(verdict.holders.items()))
    if holder is None:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows; no current holder of `{best}`"
    if holder.version == verdict.challenger.version:
        return f"already holds `{best}` ({metric} {ours:.4g} on {verdict.rows:,} held-out rows)"
    if holder.problem:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows; `{best}` cannot be compared: {holder.problem}"
    theirs = holder.figures[verdict.metric]
    return f"{metric} {ours:.4g} vs {theirs:.4g} for `{best}` on the same {verdict.rows:,} held-out rows"


def write_report(title: str, verdict: Verdict, promoted: bool) -> str:
    """Return the comparison as Markdown: the decision (or recommendation) first, then every figure side by side."""
    run_id = verdict.challenger.version.run_id
    if verdict.alias is None:
        decision = f"Run `{run_id}` is not promoted."
    elif promoted:
        decision = f"Run `{run_id}` is promoted to **{verdict.alias}**."
    else:
        decision = f"Run `{run_id}` should be promoted to **{verdict.alias}**: `make promote run={run_id}` promotes it."
    explanation = f"The rule compared: {summarize(verdict)}."
    champion = next(iter(verdict.holders.values()))
    if champion and not champion.problem:
        explanation += f" It is better on {verdict.win_share:.0%} of {RESAMPLES} resampled sets of these rows."
    candidates = {"challenger": verdict.challenger, **{a: c for a, c in verdict.holders.items() if c is not None}}
    lines = [
        f"# {title}", "", decision, "", explanation, "",
        _row(["figure", *candidates]),
        _row(["---", *("---:" for _ in candidates)]),
        _row(["run", *(f"`{c.version.run_id[:8]}`" for c in candidates.values())]),
    ]  # fmt: skip
    for name in verdict.challenger.figures:
        label = figure_label(name)
        cells = [f"{c.figures[name]:.4g}" if name in c.figures else "n/a" for c in candidates.values()]
        lines.append(_row([f"**{label}**" if name == verdict.metric else label, *cells]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
