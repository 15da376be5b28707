"""The comparison of challenger and champions in words: one line for the history, and a report in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from model_orchestration.promotion.comparison import Verdict
from model_orchestration.promotion.rule import RESAMPLES
from model_orchestration.tables.windows import USES
from scorehouse.scoring.figures import figure_label


def summarize(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    metric = figure_label(verdict.rule.metric)
    ours = verdict.challenger.figures[verdict.rule.metric]
    best, holder = next(iter(verdict.holders.items()))
    if holder is None:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows; no current holder of `{best}`"
    if holder.version == verdict.challenger.version:
        return f"already holds `{best}` ({metric} {ours:.4g} on {verdict.rows:,} held-out rows)"
    if holder.problem:
        return f"{metric} {ours:.4g} on {verdict.rows:,} held-out rows; `{best}` cannot be compared: {holder.problem}"
    theirs = holder.figures[verdict.rule.metric]
    return f"{metric} {ours:.4g} vs {theirs:.4g} for `{best}` on the same {verdict.rows:,} held-out rows"


def write_report(title: str, verdict: Verdict, by_person: bool | None) -> str:
    """Return the comparison as Markdown: the decision (or recommendation) first, then every figure side by side.

    `by_person` says who could promote: a person, the rule alone (False), or nobody this time (None).
    """
    run_id = verdict.challenger.version.run_id
    if verdict.alias is None:
        decision = f"Run `{run_id}` is not promoted."
    elif verdict.refusals:
        decision = f"Run `{run_id}` is not promoted to **{verdict.alias}**: {'; '.join(verdict.refusals)}."
    elif by_person is not None and verdict.is_promoted(by_person):
        decision = f"Run `{run_id}` is promoted to **{verdict.alias}**."
    elif verdict.reservations:
        decision = (
            f"A person should decide whether run `{run_id}` is promoted to **{verdict.alias}**, because "
            f"{'; '.join(verdict.reservations)}. `make promote run={run_id}` promotes it."
        )
    else:
        decision = f"Run `{run_id}` should be promoted to **{verdict.alias}**: `make promote run={run_id}` promotes it."
    explanation = f"The rule compared: {summarize(verdict)}. {_explain_rule(verdict)}"
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
        lines.append(_row([f"**{label}**" if name == verdict.rule.metric else label, *cells]))
    return "\n".join(lines) + "\n"


def _explain_rule(verdict: Verdict) -> str:
    rule = verdict.rule
    needed = (
        f"To win an alias, a model must be better by {rule.margin:.0%} or more, and better on {rule.sure:.1%} of "
        f"{RESAMPLES:,} resampled sets of these rows."
    )
    shares = [f"{share:.1%} for `{alias}`" for alias, share in verdict.win_shares.items()]
    reached = f" It is better on {', '.join(shares)}." if shares else ""
    return (
        f"{needed}{reached} These rows have judged {verdict.uses} models; automatic promotion uses them {USES} times."
    )


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
