"""Finds a use case's page and checks it. A page with a fault is refused in words that say what would be right."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType

from scorehouse import usecase
from scorehouse.errors import UseCaseError
from scorehouse.pages import checks
from scorehouse.pages.defaults import with_defaults
from scorehouse.pages.derivation import derive_faults
from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import UseCase

PACKAGE = "use_cases"
_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"(\w+)\.__init__\(\) missing \d+ required (?:keyword-only|positional) arguments?: (.+)")
_NO_NAME = re.compile(r"cannot import name '(\w+)' from (partially initialized module )?'([\w.]+)'")
_POSITIONAL = re.compile(r"(\w+)\.__init__\(\) takes 1 positional argument but .+")


@cache
def load_use_case(name: str) -> UseCase:
    """Return the `use_case` of `use_cases/<name>.py`, checked once in each process.

    Raises:
        UseCaseError: there is no such page, or it has a fault: each is one line that says what would be right.
    """
    module = _import(name)
    declared = getattr(module, "use_case", None)
    if not isinstance(declared, UseCase):
        found = "" if declared is None else f", but a use_case that is {declared!r}"
        raise UseCaseError(f"use_cases/{name}.py declares no `use_case = UseCase(...)`{found}")
    checked, faults = checks.validated(declared)
    if checked is not None:
        checked = with_defaults(checked)
        faults = list(checks.faults(checked)) or list(derive_faults(checked))
        if checked.name != name:
            faults.insert(
                0, f"its name is {checked.name!r}, not that of the file: write name={name!r}, or rename the file"
            )
        if not faults:
            return checked
    if len(faults) == 1:
        raise UseCaseError(f"use_cases/{name}.py: {faults[0]}")
    raise UseCaseError(f"use_cases/{name}.py has {len(faults)} faults:\n  " + "\n  ".join(faults))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"{PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        if error.name in {PACKAGE, f"{PACKAGE}.{name}"}:
            raise UseCaseError(_not_found(name)) from error
        raise UseCaseError(f"{_place(name, error)}: {error}. {_advice(str(error.name))}") from error
    except (Exception, SystemExit) as error:
        raise UseCaseError(f"{_place(name, error)}: {_in_words(error)}") from error


_SHOWN = 10  # pages that an error names
_ADVICE = "Import what only clean needs inside clean, because not every image has it"


def _advice(module: str) -> str:
    """Return what to write instead of an import that fails."""
    if not get_close_matches(module.partition(".")[0], ["scorehouse"], cutoff=0.8):
        return _ADVICE
    return "A page imports from scorehouse.usecase: from scorehouse.usecase import Feature, UseCase"


_LIKE = 0.5  # likeness from which a name is offered instead of a list


def _name_not_found(module: str, name: str, *, circular: bool) -> str:
    """Return what to write instead of `from module import name`, without the path of the module on this machine."""
    if circular:
        return (
            f"{name!r} cannot be imported from {module}, because that is still being loaded: "
            "remove this import, or the one that leads back to the page"
        )
    missing = f"{module} has no {name!r}"
    if module.partition(".")[0] != "scorehouse":
        return missing
    known = [known for known, value in vars(usecase).items() if is_dataclass(value)]
    if name in known:
        return f"{missing}: write `from scorehouse.usecase import {name}`"
    names = KnownNames(known)
    if names.likeness(name) < _LIKE:
        return f"{missing}: a page imports {', '.join(known)} from scorehouse.usecase"
    return f"{missing}: write `from scorehouse.usecase import {names.nearest(name)}`"


def _not_found(name: str) -> str:
    missing = f"USE_CASE is {name!r}, but there is no use_cases/{name}.py"
    try:
        pages = sorted(page.name for page in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__))
    except ModuleNotFoundError:
        return f"{missing}, nor any folder use_cases"
    more = f" and {len(pages) - _SHOWN} more" if len(pages) > _SHOWN else ""
    return f"{missing}; there are {', '.join(pages[:_SHOWN])}{more}" if pages else missing


def _place(name: str, error: BaseException) -> str:
    """The page's file and, if the fault is in it, the line: of the module's own code, which calls its helpers."""
    file = f"{PACKAGE}/{name}.py"
    if isinstance(error, SyntaxError) and str(error.filename).endswith(file):
        return f"{file}, line {error.lineno}"
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == f"{name}.py" and trace.tb_frame.f_code.co_name == "<module>":
            return f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return file


def _in_words(error: BaseException) -> str:
    """What an import raised, in one line; what Python says of a wrong argument says also which one was meant."""
    text = " ".join(str(error).split())
    if found := _NO_NAME.match(text):
        return _name_not_found(found[3], found[1], circular=bool(found[2]))
    if isinstance(error, SyntaxError):
        return f"{error.msg}: {(error.text or '').strip()}"
    if found := _UNEXPECTED.search(text):
        known = _arguments(found[1])
        return f"{found[1]} has no argument {found[2]!r}{KnownNames(known).suggest(found[2])}"
    if found := _MISSING.search(text):
        return f"{found[1]} needs {found[2]}"
    if found := _POSITIONAL.search(text):
        return f"{found[1]} takes names only, such as {', '.join(f'{n}=…' for n in _arguments(found[1])[:2])}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _arguments(name: str) -> list[str]:
    declaration = getattr(usecase, name, None)
    return [f.name for f in fields(declaration)] if is_dataclass(declaration) else []
