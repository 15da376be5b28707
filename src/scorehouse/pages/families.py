"""What each family of models can learn, and the parameters that it takes: a page that asks for others is refused.

The parameters are those of XGBoost (trees only) and of scikit-learn's classes; our own are `rounds` and `patience`
(XGBoost) and `rare_class_power` (svc). A test compares the lists with the libraries, which not every image has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Choice, Estimator, Family, Range, Task

SHARES = frozenset({"subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode", "max_features"})
WHOLE = frozenset(
    {
        "rounds", "patience", "max_depth", "max_leaves", "max_bin", "num_parallel_tree", "seed", "nthread",
        "n_estimators", "min_samples_leaf", "min_samples_split", "max_leaf_nodes", "max_iter", "random_state", "n_jobs",
    }
)  # fmt: skip
POSITIVE = frozenset({"learning_rate", "min_child_weight", "reg_lambda", "reg_alpha", "alpha", "C", "tol"})
_TEXT = frozenset({"objective", "tree_method", "grow_policy", "sampling_method", "solver", "selection", "criterion"})
_MEANT = {  # names from the libraries' own interfaces
    "n_estimators": "rounds", "num_boost_round": "rounds", "num_rounds": "rounds", "iterations": "rounds",
    "early_stopping_rounds": "patience", "eta": "learning_rate", "lambda": "reg_lambda", "alpha": "reg_alpha",
    "random_state": "seed", "n_jobs": "nthread",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """The tasks that a family can learn, and what may be in `fixed` and `space`.

    `objectives` lists what `fixed["objective"]` must be for each task; it is empty for families without objectives.
    `options` limits parameters to values whose models can be exported.
    """

    tasks: tuple[Task, ...]
    parameters: frozenset[str]
    only_fixed: frozenset[str] = frozenset()
    objectives: Mapping[Task, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FAMILIES: Mapping[Family, FamilyRules] = {
    "xgboost": FamilyRules(
        tasks=("binary", "amount", "ordinal", "multiclass"),
        parameters=frozenset(
            {
                "learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "colsample_bylevel",
                "colsample_bynode", "reg_lambda", "reg_alpha", "gamma", "max_delta_step", "max_leaves",
                "num_parallel_tree", "scale_pos_weight", "base_score", "tree_method", "grow_policy",
                "sampling_method", "monotone_constraints", "interaction_constraints", "tweedie_variance_power",
                "huber_slope", "quantile_alpha",
            }
        ),
        only_fixed=frozenset({"objective", "rounds", "patience", "max_bin", "seed", "nthread", "verbosity"}),
        objectives={
            "binary": ("binary:logistic",),
            "ordinal": ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"),
            "multiclass": ("multi:softprob",),
            "amount": (
                "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:gamma",
                "reg:tweedie", "count:poisson", "reg:quantileerror",
            ),
        },
        options={
            "tree_method": ("hist",),
            "grow_policy": ("depthwise", "lossguide"),
            "sampling_method": ("uniform",),
        },
    ),
    "random_forest": FamilyRules(
        tasks=("amount", "binary", "multiclass"),
        parameters=frozenset(
            {
                "n_estimators", "max_depth", "min_samples_split", "min_samples_leaf", "min_weight_fraction_leaf",
                "max_features", "max_leaf_nodes", "min_impurity_decrease", "ccp_alpha", "max_samples", "bootstrap",
                "criterion", "monotonic_cst", "random_state", "n_jobs",
            }
        ),
    ),
    "logistic": FamilyRules(
        tasks=("binary", "multiclass"),
        parameters=frozenset(
            {"C", "l1_ratio", "fit_intercept", "class_weight", "max_iter", "tol", "solver", "random_state"}
        ),
        options={"solver": ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")},
    ),
    "ridge": FamilyRules(
        tasks=("amount",),
        parameters=frozenset({"alpha", "fit_intercept", "max_iter", "tol", "solver", "positive", "random_state"}),
    ),
    "lasso": FamilyRules(
        tasks=("amount",),
        parameters=frozenset({"alpha", "fit_intercept", "max_iter", "tol", "selection", "positive", "random_state"}),
    ),
    "svc": FamilyRules(
        tasks=("ordinal", "multiclass"),
        parameters=frozenset(
            {
                "C", "kernel", "gamma", "shrinking", "tol", "cache_size", "class_weight", "max_iter", "random_state",
                "rare_class_power",
            }
        ),
        options={"kernel": ("linear", "rbf")},
    ),
}  # fmt: skip


def faults(estimator: Estimator, task: Task) -> Iterator[str]:
    """Yield what the family cannot do, in words that say what it can."""
    rules = FAMILIES[estimator.family]
    if task not in rules.tasks:
        able = [name for name, family in FAMILIES.items() if task in family.tasks]
        yield f"it learns {_either(rules.tasks)}; the task {task!r} is learnt by {_either(able)}"
        return
    if estimator.average > 1 and estimator.family != "xgboost":
        yield f"average is {estimator.average}, but only models of xgboost can be averaged: leave it out"
    yield from _objective_faults(estimator, task, rules.objectives.get(task, ()))
    for name in sorted({*estimator.fixed} & {*estimator.space}):
        yield f"{name} is in fixed and in space: keep one"
    for name, value in estimator.fixed.items():
        if fault := _fixed_fault(name, value, rules):
            yield fault
    for name, dimension in estimator.space.items():
        if fault := _space_fault(name, dimension, rules):
            yield fault


def _fixed_fault(name: str, value: Any, rules: FamilyRules) -> str | None:
    if name not in rules.parameters | rules.only_fixed:
        return _unknown(name, rules.parameters | rules.only_fixed, "fixed")
    fault = _value_fault(name, value, rules)
    return f"fixed[{name!r}] must be {fault}, not {value!r}" if fault else None


def _space_fault(name: str, dimension: Range | Choice, rules: FamilyRules) -> str | None:
    if name in rules.only_fixed:
        return f"{name} is not searched: move it from space to fixed"
    if name not in rules.parameters:
        return _unknown(name, rules.parameters, "space")
    if isinstance(dimension, Range):
        fault = range_fault(name, dimension)
        return f"space[{name!r}]: {fault}" if fault else None
    faults = ((option, _value_fault(name, option, rules)) for option in dimension.options)
    return next((f"space[{name!r}] can offer {fault}, not {option!r}" for option, fault in faults if fault), None)


def _value_fault(name: str, value: Any, rules: FamilyRules) -> str | None:
    """What one value of a parameter must be, if it is not that; None if nothing is wrong."""
    if name in rules.options:
        return None if value in rules.options[name] else _either(rules.options[name])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in {"rounds", "patience"}:
        return None if type(value) is int and value >= 1 else "a whole number from 1"
    if name in (SHARES | WHOLE | POSITIVE) - {"max_features"} and isinstance(value, str | bool):
        return "a number"
    if not is_number:
        return None
    if name in WHOLE and type(value) is not int and not value < 1:
        return "a whole number"
    if name in SHARES and not (0 < value <= 1 or (name == "max_features" and type(value) is int and value >= 1)):
        return "a share, above 0 and at most 1"
    return "a number from 0" if name in POSITIVE and not value >= 0 else None


def range_fault(name: str, dimension: Range) -> str | None:
    """Return what is wrong with a range of the parameter `name`, or None."""
    low, high = dimension.low, dimension.high
    if name in _TEXT or name in {"kernel", "bootstrap", "fit_intercept", "positive"}:
        return "it has no numbers: use Choice((…))"
    if not low < high:
        return f"the low bound {low} is not below the high bound {high}"
    if dimension.log and low <= 0:
        return "the scale is logarithmic, so both bounds must be above 0"
    if dimension.integer and not (float(low).is_integer() and float(high).is_integer()):
        return "both bounds must be whole numbers"
    if name in WHOLE and not dimension.integer and not high < 1:
        return f"it takes whole numbers: Range({low}, {high}, integer=True)"
    if name in SHARES and not dimension.integer and not 0 < low < high <= 1:
        return "this is a share, so both bounds must be above 0 and at most 1"
    least = 1 if dimension.integer else 0
    if low < least:
        return f"the low bound must be at least {least}"
    return None


def _objective_faults(estimator: Estimator, task: Task, allowed: tuple[str, ...]) -> Iterator[str]:
    objective = estimator.fixed.get("objective")
    if objective == "reg:quantileerror" and "quantile_alpha" not in {**estimator.fixed, **estimator.space}:
        yield "the objective 'reg:quantileerror' needs the quantile in fixed, such as \"quantile_alpha\": 0.5"
    if not allowed or objective in allowed:
        return
    if objective is None:
        yield f'fixed needs an objective for the task {task!r}: fixed={{"objective": "{allowed[0]}"}}'
        return
    nearest = KnownNames(allowed).suggest(str(objective)) if len(allowed) > 1 else ""
    yield f"the objective of the task {task!r} must be {_either(allowed)}, not {objective!r}{nearest}"


def _unknown(name: str, known: frozenset[str], where: str) -> str:
    meant = _MEANT.get(name)
    nearest = f"; did you mean {meant!r}?" if meant in known else KnownNames(sorted(known)).suggest(name)
    names = ", ".join(sorted(known))
    return f"{name} in {where} is not a parameter that can be set here{nearest} (there are {names})"


def _either(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names))
