"""The comparison of challenger and champions in words: one line for the history, a page for people."""

from __future__ import annotations

from collections.abc import Sequence

from model_orchestration.promotion.comparison import RESAMPLES, Verdict
from scorehouse.scoring.figures import figure_label


def reason(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    ours, metric = verdict.challenger.figures[verdict.metric], figure_label(verdict.metric)
    best, holder = next(iter(verdict.holders.items()))
    if holder is None:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows, the first {best}"
    if holder.version == verdict.challenger.version:
        return f"it is {best} already, {metric} {ours:.4g} on {verdict.rows:,} held-out rows"
    if holder.problem:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows; {best} cannot be compared: {holder.problem}"
    theirs = holder.figures[verdict.metric]
    return f"{metric} {ours:.4g} against {theirs:.4g} of {best} on the same {verdict.rows:,} held-out rows"


def report(title: str, verdict: Verdict, done: bool) -> str:
    """Return the comparison as Markdown: what is decided or recommended first, then every figure side by side."""
    run_id = verdict.challenger.version.run_id
    if verdict.alias is None:
        said = f"Run `{run_id}` wins no alias."
    elif done:
        said = f"Run `{run_id}` is promoted to **{verdict.alias}**."
    else:
        said = f"Run `{run_id}` should be promoted to **{verdict.alias}**: `make promote run={run_id}` does it."
    sides_ = {"challenger": verdict.challenger, **{a: j for a, j in verdict.holders.items() if j is not None}}
    names = list(verdict.challenger.figures)
    lines = [f"# {title}", "", said, "", f"By the rule: {reason(verdict)}."]
    if (holder := next(iter(verdict.holders.values()))) and not holder.problem:
        lines[-1] += f" It is better on {verdict.sure:.0%} of {RESAMPLES} resampled sets of these rows."
    lines += ["", _row(["figure", *sides_]), _row(["---", *("---:" for _ in sides_)])]
    lines.append(_row(["run", *(f"`{j.version.run_id[:8]}`" for j in sides_.values())]))
    for name in names:
        shown = figure_label(name)
        cells = [f"{j.figures[name]:.4g}" if name in j.figures else "cannot answer" for j in sides_.values()]
        lines.append(_row([f"**{shown}**" if name == verdict.metric else shown, *cells]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
