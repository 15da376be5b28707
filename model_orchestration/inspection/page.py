"""Writes a use case's page from what was found in its table: Python that a person reads and edits."""

from __future__ import annotations

import difflib
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_orchestration.inspection.inspection import SMALL_SPLIT, Inspection
from model_orchestration.inspection.kinds import Column
from model_orchestration.inspection.target import Target
from scorehouse.errors import UseCaseError
from scorehouse.usecase import Feature

PAGES = Path("use_cases")
_FIELDS = ("name", "kind", "required", "low", "high", "parts", "categories", "levels", "help", "example")


@dataclass(frozen=True, slots=True)
class Written:
    """A page: where it is, and how it would change if it was there already and is left as it is."""

    path: Path
    is_new: bool
    difference: str = ""


def write_page(inspection: Inspection, name: str, table: str, folder: Path = PAGES) -> Written:
    """Write `folder/<name>.py` for the table at `table`, unless there is a page that differs: then return how."""
    path = folder / f"{name}.py"
    source = render(inspection, name, table)
    if path.exists():
        before = path.read_text(encoding="utf-8")
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), source.splitlines(keepends=True), str(path), "the page for this table"
        )
        return Written(path, is_new=False, difference="".join(lines))
    path.write_text(source, encoding="utf-8")
    return Written(path, is_new=True)


def page_name(table: str) -> str:
    """Return a name for the page of a table: that of its file, as Python's modules are named."""
    stem = Path(table).name.partition(".")[0].lower()
    name = re.sub("[^a-z0-9]+", "_", stem).strip("_")
    return name if name and not name[0].isdigit() else f"table_{name}".rstrip("_")


def render(inspection: Inspection, name: str, table: str) -> str:
    """Return the source of the page, formatted."""
    source = "\n".join(_lines(inspection, name, table)) + "\n"
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", f"use_cases/{name}.py", "-"]
    try:
        return subprocess.run(command, input=source, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise UseCaseError(f"ruff, which formats pages, cannot be run: {error}") from error


def _lines(inspection: Inspection, name: str, table: str) -> Iterator[str]:
    target = inspection.target
    yield f'"""{_in_docstring(_title(target))} Written by `make use-case` from {inspection.rows:,} rows.'
    yield ""
    yield 'Each "guess" is for you to check: limits of values, and what the table alone does not tell.'
    yield from (line for caveat in inspection.caveats for line in ("", *textwrap.wrap(_plain(caveat), 118)))
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from typing import TYPE_CHECKING"
    yield ""
    imported = ["Feature", "UseCase", *(["boosted_trees"] if len(target.objectives) > 1 else [])]
    yield f"from scorehouse.usecase import {', '.join(imported)}"
    yield ""
    yield "if TYPE_CHECKING:"
    yield "    import pandas as pd"
    yield ""
    yield "FEATURES = ("
    for column in inspection.columns:
        if column.feature is not None:
            yield from _feature_lines(column, column.feature)
    yield ")"
    left_out = [c for c in inspection.columns if c.feature is None and c.name != target.name]
    if left_out:
        yield "# Left out:"
        yield from (_comment(f"{column.name}: {column.left_out}") for column in left_out)
    yield ""
    yield ""
    yield from _clean_lines(inspection)
    yield ""
    yield ""
    yield from _use_case_lines(inspection, name, table)


def _feature_lines(column: Column, feature: Feature) -> Iterator[str]:
    if column.warning:
        yield _comment(f"  Check: {column.warning}")
    values: dict[str, Any] = {field: getattr(feature, field) for field in _FIELDS}
    values["required"] = column.missing == 0
    defaults = {"required": False, "low": None, "high": None, "categories": (), "parts": (), "levels": "declared"}
    given = ", ".join(f"{k}={_literal(v)}" for k, v in values.items() if k not in defaults or v != defaults[k])
    if column.guesses:  # above, because beside it the formatter would give each argument a line of its own
        yield _comment(f"  guess: {'; '.join(column.guesses)}")
    yield f"    Feature({given}),"


def _clean_lines(inspection: Inspection) -> Iterator[str]:
    target = inspection.target
    yield "def clean(table: pd.DataFrame) -> pd.DataFrame:"
    undated = next((c.missing for c in inspection.columns if c.name == inspection.time), 0)
    missing = target.column.missing
    marked = [c for c in inspection.columns if c.marks and (c.feature or c.name in {target.name, inspection.time})]
    renamed = {c.name: c.feature.name for c in inspection.columns if c.feature and c.feature.name != c.name}
    has_words = any(raw != code or isinstance(raw, bool) for raw, code in target.outcomes.items())
    if not missing and not marked and not undated and not renamed and not has_words:
        yield '    """Change nothing: the table has the features and the target as they are."""'
        yield "    return table"
        return
    yield f'    """Return the features, and the target{"" if target.classes else " as a number"}."""'
    steps: list[tuple[str, str]] = []
    for column in marked:
        kept = f"table[{column.name!r}].where(~table[{column.name!r}].isin({list(column.marks)!r}))"
        steps.append((f"table{_assign(column.name, kept)}", ""))
    if missing:
        steps.append((f"table.dropna(subset=[{target.name!r}])", f"{missing:,} rows have no answer to learn from"))
    if undated:
        steps.append((f"table.dropna(subset=[{inspection.time!r}])", f"{undated:,} rows have no time to be split by"))
    last = ""
    if has_words:
        last += _assign(target.name, f"table[{target.name!r}].map({dict(target.outcomes)!r})")
    if renamed:
        last += f".rename(columns={renamed!r})"
    if last:
        steps.append((f"table{last}", ""))
    for place, (step, why) in enumerate(steps, 1):
        to = "return" if place == len(steps) else "table ="
        yield f"    {to} {step}{f'  # {why}' if why else ''}"


def _assign(column: str, value: str) -> str:
    plain = column.isidentifier() and not keyword.iskeyword(column)
    return f".assign({column}={value})" if plain else f".assign(**{{{column!r}: {value}}})"


def _use_case_lines(inspection: Inspection, name: str, table: str) -> Iterator[str]:
    target = inspection.target
    yield "use_case = UseCase("
    yield f"    name={name!r},"
    yield "    version=1,"
    yield f"    title={_title(target)!r},"
    yield f"    about={_about(inspection)!r},"
    yield f"    source={f'{inspection.file}, {inspection.rows:,} rows'!r},"
    yield "    features=FEATURES,"
    yield f"    target={target.name!r},"
    guess = f"  # guess: {'; '.join(target.guesses)}" if target.guesses else ""
    yield f"    task={target.task!r},{guess}"
    if target.classes:
        yield f"    classes={target.classes!r},"
    yield f"    answer={_answer(target)!r},"
    why = "" if inspection.key else "  # no column tells which rows belong together, so only equal rows stay together"
    yield f"    key={inspection.key!r},{why}"
    if inspection.is_small:
        yield f"    split={SMALL_SPLIT},  # few rows, so a larger share judges the model"
    if inspection.time:
        yield f"    split_by={inspection.time!r},  # the newest rows judge the model"
    yield "    clean=clean,"
    yield f"    table={table!r},  # unless DATA names another"
    if marks := tuple(dict.fromkeys(mark for column in inspection.columns for mark in column.marks)):
        yield f"    missing={marks!r},  # guess: they stand for missing numbers"
    if len(target.objectives) > 1:
        yield f"    estimators=({', '.join(f'boosted_trees({o!r})' for o in target.objectives)}),"
    yield ")"


def _about(inspection: Inspection) -> str:
    count = len(inspection.features)
    return f"Predicts {_asked(inspection.target)}, from {count} column{'s' if count != 1 else ''} of {inspection.file}."


def _asked(target: Target) -> str:
    if target.task == "binary":
        yes = next(raw for raw, code in target.outcomes.items() if code)
        return f"the chance that {target.name} is {yes}"
    if target.classes:
        return f"{target.name}, one of {len(target.classes)} classes"
    return f"{target.name}, {'an amount' if target.task == 'amount' else 'as an ordered class'}"


def _title(target: Target) -> str:
    words = target.column.name.strip().replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}?" if target.task == "binary" else f"What is the {words}?"


def _answer(target: Target) -> str:
    name = target.name.strip()
    return f"{name} chance" if target.task == "binary" else f"{name} prediction"


def _literal(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{int(value)}" if abs(value) < 10_000 else f"{int(value):_}"
    return f"{value:_}" if type(value) is int and abs(value) >= 10_000 else repr(value)


def _in_docstring(text: str) -> str:
    """Return a name of the table for the docstring's first line."""
    return _plain(text)[:60]


def _plain(text: str) -> str:
    """Return text that cannot end the docstring: what follows would run when the page is loaded."""
    return " ".join(text.translate({ord('"'): "'", ord("\\"): "/"}).split())


def _comment(text: str) -> str:
    indent = " " * 4 if text.startswith("  ") else ""
    return f"{indent}# {' '.join(text.split())}"[:118]
