"""Checks exported dashboards against the types of Grafana's SDK and formats them: `python -m …grafana.format`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import panelcfg_config
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardLink, DataTransformerConfig, Panel
from pydantic import ConfigDict, TypeAdapter, ValidationError

Json = dict[str, Any]
DASHBOARDS = Path(__file__).parent / "dashboards"
# Fields of lines, tables and the query editor that Grafana 12 exports and the SDK's types lack.
NOT_IN_THE_TYPES = {"showValues", "footer", "disableTextWrap", "fullMetaSearch", "includeNullMetadata", "useBackend"}
# These belong to the Grafana that exported the dashboard.
LOCAL = ("id", "version", "iteration")

register_default_plugins()


def problems(dashboard: Json) -> list[str]:
    """Return every field that Grafana's types do not have, or whose value they do not allow; empty if all is well."""
    try:
        typed = _decode(dashboard)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"Grafana's types do not accept it ({type(error).__name__}: {error})"]
    types = {panel["type"] for panel in dashboard["panels"]} - {"row"}
    unknown_types = [f"there is no panel type {name!r}" for name in sorted(types) if panelcfg_config(name) is None]
    encoded = json.loads(json.dumps(typed, cls=JSONEncoder))
    return [*unknown_types, *_unknown_fields(dashboard, encoded), *_wrong_values(typed)]


def _decode(dashboard: Json) -> Dashboard:
    typed = Dashboard.from_json(dashboard)
    for panel, source in zip(typed.panels or [], dashboard["panels"], strict=True):
        if isinstance(panel, Panel):  # the SDK leaves these two lists undecoded
            panel.links = [DashboardLink.from_json(link) for link in source.get("links", ())]
            panel.transformations = [DataTransformerConfig.from_json(s) for s in source.get("transformations", ())]
    return typed


def _unknown_fields(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield what is lost between the JSON before and after the types; defaults that the types add are no loss."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from _unknown_fields(value, after[key], f"{path}.{key}")
            elif value is not None and key not in NOT_IN_THE_TYPES:
                yield f"{path}.{key}: Grafana's types have no such field".lstrip(".")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _unknown_fields(one, other, f"{path}[{i}]")
    elif before != after:
        yield f"{path}: Grafana's types change {before!r} to {after!r}".lstrip(".")


def _wrong_values(node: Any, path: str = "") -> Iterator[str]:
    """Yield the attributes of SDK objects whose value is not of the declared type."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _wrong_values(item, f"{path}[{i}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _wrong_values(value, f"{path}.{key}")
    elif hasattr(node, "to_json"):
        kind: Any = type(node)
        for name, adapter in _adapters(kind).items():
            value = getattr(node, name)
            where = f"{path}.{name.removesuffix('_val')}"
            try:
                wrong = adapter.validate_python(value) != value  # pydantic converts "1" to 1; Grafana does not
            except ValidationError:
                wrong = True
            if wrong:
                yield f"{where}: {value!r} is not allowed".lstrip(".")
            yield from _wrong_values(value, where)


@cache
def _adapters(kind: Any) -> dict[str, TypeAdapter[Any]]:
    config = ConfigDict(arbitrary_types_allowed=True)
    return {name: TypeAdapter(hint, config=config) for name, hint in get_type_hints(kind).items()}


def formatted(dashboard: Json, host: str | None = None) -> str:
    """Return the dashboard as it is committed: keys sorted as in an export, without what is local to one Grafana.

    `host`: the machine that links lead to, as browsers reach it; None keeps the present one.
    """
    kept = {key: value for key, value in dashboard.items() if key not in LOCAL}
    notes = [note for note in kept["annotations"]["list"] if not note.get("builtIn")]  # Grafana adds its own on loading
    variables = [_without_choice(variable, host) for variable in kept["templating"]["list"]]
    kept |= {"annotations": {"list": notes}, "templating": {"list": variables}}
    return json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _without_choice(variable: Json, host: str | None) -> Json:
    """Return the variable without the value that was chosen when the dashboard was exported."""
    if variable["type"] == "query" and not variable["includeAll"]:
        return {**variable, "current": {}}
    if variable["name"] == "host" and host is not None:
        return {**variable, "query": host, "current": {"text": host, "value": host}}
    return variable


def main() -> None:
    """Check every dashboard; format all if all are valid, else exit with 1."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana.format", description=__doc__)
    parser.add_argument("--host", help="point links to this address, as browsers reach it (SERVE_ADDRESS)")
    options = parser.parse_args()
    dashboards = {path: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}
    wrong = [f"{path.name}: {problem}" for path, dashboard in dashboards.items() for problem in problems(dashboard)]
    if wrong:
        sys.exit("\n".join(wrong))
    for path, dashboard in dashboards.items():
        text = formatted(dashboard, options.host)
        if text != path.read_text():
            path.write_text(text)
            print(f"{path.name} is formatted now")  # noqa: T201
    print(f"{len(dashboards)} dashboards are valid")  # noqa: T201


if __name__ == "__main__":
    main()
