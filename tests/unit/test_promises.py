"""The repository keeps its own promises."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY

from scorehouse import metrics
from scorehouse.environment import read_settings
from scorehouse.services import SERVICES
from scorehouse.settings import (
    BatchSettings,
    DataSettings,
    ReportSettings,
    RetrainingSettings,
    Settings,
    TrainingSettings,
)
from scorehouse.usecase import Choice, Envelope, Estimator, Feature, Range, Schedule, UseCase
from stack.env_files import read_file
from tests.toy import ROOT

# Every folder of code beside the core, so that no list has to be remembered: only benchmarks and tests are no product.
BESIDE_THE_CORE = sorted({p.parent.name for p in ROOT.glob("*/*.py")} - {"tests", "benchmarks"})
PACKAGES = ("src/scorehouse", *BESIDE_THE_CORE)
# What rules record begins with scorehouse: and is declared where it is recorded.
METRIC = re.compile(r"\b(?:scorehouse[_:]|evidently:data_drift:)[a-zA-Z0-9_:]+")
RECORDED = re.compile(r"^\s*-?\s*record:\s*(\S+)", re.MULTILINE)


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def checks() -> Iterator[Path]:
    yield from sorted((ROOT / "tests").rglob("*.py"))


def named(paths: Iterable[Path]) -> list[str]:
    return [str(p.relative_to(ROOT)) for p in paths]


def test_the_folder_mlflow_holds_no_python_for_it_would_hide_the_package() -> None:
    assert named(p for p in (ROOT / "mlflow").rglob("*") if p.suffix in {".py", ".pyc"}) == []


def test_a_new_package_is_under_every_rule() -> None:
    """Import contracts, types and commands name packages one by one; a forgotten one would break no build."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    every = {"scorehouse", *BESIDE_THE_CORE}
    services = every - {"scorehouse", "use_cases"}
    contracts = {contract["name"]: contract for contract in tools["importlinter"]["contracts"]}
    environment = contracts["Only composition roots and commands read the environment"]["source_modules"]
    assert set(tools["importlinter"]["root_packages"]) == every
    assert set(tools["mypy"]["packages"]) == every
    forbidden = contracts["The core imports no service and no web framework"]["forbidden_modules"]
    assert every - {"scorehouse"} <= set(forbidden)
    assert every - {"scorehouse"} <= set(environment)
    assert set(contracts["No import cycles"]["ancestors"]) == every - {"use_cases"}
    assert set(contracts["Services never import each other"]["modules"]) == services - {"reporting"}
    assert set(contracts["No service imports reports"]["source_modules"]) == services - {"reporting"}


def test_every_modules_first_line_says_its_job() -> None:
    def silent(path: Path) -> bool:
        first = path.read_text().partition("\n")[0]
        return not re.match(r'^"""[A-Z`].*[.:]( |""")|^"""[A-Z`].*\.$', first)

    written = (p for p in modules() if not p.stem.endswith("_pb2"))  # the others are generated
    assert named(p for p in written if silent(p)) == []


def test_there_are_no_modules_for_what_has_no_place() -> None:
    assert named(p for p in modules() if p.stem in {"utils", "util", "helpers", "helper", "common", "misc"}) == []


def test_every_setting_is_in_an_env_file() -> None:
    text = "".join((ROOT / name).read_text() for name in (".env", ".env.local", ".env.cloud"))
    shown = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))
    assert sorted({name.upper() for name in Settings.model_fields} - shown) == []


def test_the_shared_env_file_shows_the_defaults() -> None:
    assert read_settings(read_file(ROOT / ".env")) == read_settings({})


def compose_services() -> dict[str, Any]:
    """Return the services of both Compose files."""
    files = ("docker-compose-model-registry.yml", "docker-compose-serve.yml")
    return {k: v for f in files for k, v in yaml.safe_load((ROOT / f).read_text())["services"].items()}


def ports_by_nginx(services: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return, by service, the port that Nginx publishes for it, and the address that Nginx asks."""
    found = {}
    for about in services.values():
        published = dict(p.rsplit(":", 1)[::-1] for p in about.get("ports", []))  # by the port inside
        listed = about.get("environment", {}).get("LOCAL_PORTS", "")
        for inside, name, address in re.findall(r"(\d+):(\w+)=([^\s,]+)", listed):
            found[name] = (published[inside].split("}:", 1)[1], address)
    return found


def test_every_service_of_the_list_is_in_a_compose_file_and_back_with_its_ports() -> None:
    composed = compose_services()
    published = ports_by_nginx(composed)
    assert sorted(SERVICES.keys() - composed.keys()) == [], "add it to a Compose file"
    assert sorted(published.keys() - SERVICES.keys()) == [], "add it to src/scorehouse/services.py"
    assert SERVICES.keys() - published.keys() == {"gateway", "mongodb"}, "add it to LOCAL_PORTS in its Compose file"
    for name, (port, address) in published.items():
        service = SERVICES[name]
        default = service.container_port
        wanted = f"${{{service.port.upper()}:-{default}}}" if isinstance(service.port, str) else str(default)
        assert port == wanted, f"{name}: its published port in Compose"
        inside = {f"http://{name}:{default}", "/srv/reports"}
        assert isinstance(service.port, int) or address in inside, f"{name}: its address in LOCAL_PORTS"


def test_only_nginx_and_the_store_publish_ports_and_only_the_gateway_to_others() -> None:
    composed = {name: about for name, about in compose_services().items() if "ports" in about}
    assert composed.keys() == {"gateway", "insurance", "reports", "mongodb"}
    public = [port for about in composed.values() for port in about["ports"] if not port.startswith("${BIND_ADDRESS:-")]
    assert public == ["${GATEWAY_BIND:-127.0.0.1}:8000:8000"]


def test_what_answers_clients_is_not_made_again_when_another_service_changes() -> None:
    """Compose makes a container again when one that it depends on changes, so 365 requests failed in a deployment."""
    depend = {name for name, service in compose_services().items() if service.get("depends_on")}
    assert depend & {"scorer", "stream", "web_service", "gateway", "reports", "insurance"} == set()


def test_only_what_uses_the_emulator_is_in_its_network_and_only_nginx_meets_this_machine() -> None:
    def joined(network: str) -> set[str]:
        return {name for name, about in compose_services().items() if network in about.get("networks", ["default"])}

    simulators = {"simulator-http", "simulator-kinesis"}  # they read the table from the bucket
    assert joined("emulator") == {"localstack", "reports", "worker", "stream", "web_service", *simulators}
    assert joined("border") == {"gateway", "reports", "insurance"}
    assert "localstack" not in joined("default")


def test_the_workers_temporary_folder_is_on_a_disk() -> None:
    worker = compose_services()["worker"]
    folder = worker["environment"]["TMPDIR"]
    assert f"scratch:{folder}" in worker["volumes"] and folder != "/tmp"


def test_a_services_health_check_in_compose_asks_the_path_of_the_list() -> None:
    for name, about in compose_services().items():
        if name in SERVICES and isinstance(SERVICES[name].port, str) and about["healthcheck"]["test"][1] == "ask":
            assert about["healthcheck"]["test"][3] == SERVICES[name].ready, f"{name}: its health check in Compose"


def test_every_process_of_our_own_is_in_the_procfile() -> None:
    started = dict(re.findall(r"(?m)^([a-z_]+): .*?(?:python -m (\S+))?$", (ROOT / "Procfile").read_text()))
    assert sorted(started.keys() - SERVICES.keys()) == [], "add it to src/scorehouse/services.py"
    ours = {name for name, service in SERVICES.items() if isinstance(service.port, str)} - {"web_service"}
    assert sorted(ours - started.keys()) == [], "add it to the Procfile"
    for name, about in compose_services().items():
        if name in started and started[name] and about.get("command", [])[:2] == ["python", "-m"]:
            assert about["command"][2] == started[name], f"{name}: the Procfile and Compose start different modules"


def test_prometheus_scrapes_every_service_that_has_metrics_and_no_other() -> None:
    given = compose_services()["prometheus"]["environment"]
    wanted = [f"{name}={name}:{service.container_port}" for name, service in SERVICES.items() if service.scraped]
    assert sorted(wanted) == sorted(given["PROMETHEUS_TARGETS"].split()), (
        "PROMETHEUS_TARGETS in docker-compose-serve.yml"
    )
    disks = ["disks=registry-disks:9100", "disks=serving-disks:9100"]  # node-exporter, without a port on the host
    assert given["PROMETHEUS_BASIC_TARGETS"].split() == disks


def test_the_disk_of_every_volume_is_watched() -> None:
    for file, name in (("model-registry", "registry-disks"), ("serve", "serving-disks")):
        half = yaml.safe_load((ROOT / f"docker-compose-{file}.yml").read_text())
        watched = half["services"][name]["volumes"]
        assert sorted(watched) == sorted(f"{volume}:/volumes/{volume}:ro" for volume in half["volumes"])


def test_containers_listen_on_the_default_ports_whatever_the_env_file_says() -> None:
    common = yaml.safe_load((ROOT / "docker-compose-common.yml").read_text())["services"]["serving"]["environment"]
    for name, about in compose_services().items():
        service = SERVICES.get(name)
        if service and isinstance(service.port, str) and about["extends"]["service"] == "serving":
            inside = {**common, **about.get("environment", {})}
            assert inside.get(service.port.upper()) == str(service.container_port), f"{name}: {service.port.upper()}"


def test_a_setting_of_trainings_batches_or_reports_restarts_no_door() -> None:
    """Compose replaces a container whose environment changes: AUTO_PROMOTE=true once failed requests for 7.7 s."""
    parts = (TrainingSettings, BatchSettings, RetrainingSettings, ReportSettings)
    fields = {name for part in parts for name in part.model_fields} - DataSettings.model_fields.keys()
    elsewhere = {"DATA", "SIGNING_KEY_FILE", "REPORT_FOLDER", "REPORT_PORT"}
    elsewhere |= {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    common = yaml.safe_load((ROOT / "docker-compose-common.yml").read_text())["services"]["serving"]["environment"]
    later = {name.upper() for name in fields} - elsewhere
    assert {name for name in later if common.get(name) != ""} == set()
    services = compose_services()
    for door in ("scorer", "stream", "shipper"):
        assert later & services[door].get("environment", {}).keys() == set()
    read_by_monitor = {"RETRAIN_ON_DRIFT", "RETRAIN_COOLDOWN_MINUTES", "TRAIN_ON_OUTCOMES"}
    given = services["monitor"]["environment"]
    assert {name: given.get(name) for name in read_by_monitor} == {name: f"${{{name}:-}}" for name in read_by_monitor}


def test_every_client_of_the_registry_logs_in() -> None:
    opened = {p: re.findall(r"\bRegistry\((?!\")[^\n]*", p.read_text()) for p in modules()}
    assert {str(p): calls for p, calls in opened.items() if any("login=" not in call for call in calls)} == {}


def declared() -> set[str]:
    """Every name under which a metric of metrics.py can be queried."""
    names: set[str] = set()
    for family in REGISTRY.collect():
        names |= {family.name, *(sample.name for sample in family.samples)}
        if family.type == "counter":
            names |= {f"{family.name}_total", f"{family.name}_created"}
        if family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum", "created")}
    return names


def test_dashboards_and_alerts_name_only_declared_metrics() -> None:
    assert "scorehouse_predictions_total" in declared()
    files = [p for p in (ROOT / "monitoring").rglob("*") if p.suffix in {".json", ".yml", ".yaml", ".rules"}]
    texts = {str(p.relative_to(ROOT)): p.read_text() for p in files}
    assert {"monitoring/grafana/dashboards/drift.json", "monitoring/prometheus/rules/alerts.yml"} <= texts.keys()
    known = declared() | {name for text in texts.values() for name in RECORDED.findall(text)}
    assert {f: sorted(unknown) for f, text in texts.items() if (unknown := set(METRIC.findall(text)) - known)} == {}


def test_every_metric_is_declared_once_and_in_one_place() -> None:
    declares = re.compile(r"(?:Counter|Gauge|Histogram|Summary|Info)\(\s*[\"']")
    found = (p for p in modules() if "prometheus_client" in (text := p.read_text()) and declares.search(text))
    assert named(found) == [str(Path(metrics.__file__).relative_to(ROOT))]


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z_-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "test" in targets
    asked = set(re.findall(r"(?:^|`|\$ )make ([a-z][a-z_-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert sorted(asked - targets) == []


def test_the_guide_names_every_argument_of_a_page() -> None:
    guide = (ROOT / "docs" / "your-own-use-case.md").read_text()
    code = " ".join(re.findall(r"^```python\n(.+?)^```", guide, re.S | re.M) + re.findall(r"`([^`\n]+)`", guide))
    declared = [
        (declaration.__name__, argument.name)
        for declaration in (UseCase, Feature, Estimator, Range, Choice, Schedule, Envelope)
        for argument in fields(declaration)
    ]
    assert [names for names in declared if not re.search(rf"\b{names[1]}\b", code)] == []


def test_the_core_never_sleeps_and_never_asks_the_environment_but_in_settings() -> None:
    asks = re.compile(r"time\.sleep\(|os\.getenv\(|os\.environ(?:\.get\(|\[)")
    assert named(p for p in (ROOT / "src" / "scorehouse").rglob("*.py") if asks.search(p.read_text())) == []


def test_unit_tests_do_not_sleep_and_no_test_is_switched_off() -> None:
    off = re.compile(r"pytest\.(?:mark\.)?(?:skip|xfail)|mark\.skipif|importorskip")
    here = Path(__file__).resolve()
    texts = {path: path.read_text() for path in checks() if path.resolve() != here}
    assert named(path for path, text in texts.items() if off.search(text)) == []
    unit = {path: text for path, text in texts.items() if path.is_relative_to(ROOT / "tests" / "unit")}
    assert (
        named(p for p, t in unit.items() if re.search(r"^import time$", t, re.MULTILINE) and "time.sleep(" in t) == []
    )


def test_no_test_is_run_again_until_it_passes() -> None:
    """With a second run, a race that loses a record in every other run would pass three times in four."""
    again = re.compile(r"--lf\b|--last-failed|--reruns|--retries|mark\.flaky|continue-on-error|pytest-(?:rerun|retry)")
    here = Path(__file__).resolve()
    run_by = [ROOT / "Makefile", ROOT / "pyproject.toml", *sorted((ROOT / ".github").rglob("*.yml"))]
    asked = [*run_by, ROOT / "requirements" / "dev.txt", *(path for path in checks() if path.resolve() != here)]
    assert named(path for path in asked if again.search(path.read_text())) == []
    recipes = dict(re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = {name: recipes[name].count("pytest ") for name in ("unit", "integration", "system", "compose-test")}
    assert set(runs.values()) == {1}, runs


def imported_names(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top, in functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_system_tests_import_nothing_from_the_product() -> None:
    product = {Path(package).name for package in PACKAGES}
    waiting = [*(ROOT / "tests" / "system").rglob("*.py"), ROOT / "tests" / "conftest.py"]
    seen: set[Path] = set()
    offenders: list[str] = []
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imported_names(file):
            package, *rest = name.split(".")
            if package in product:
                offenders.append(f"{file.relative_to(ROOT)}: {name}")
            elif package == "tests":
                for depth in range(len(rest) + 1):
                    module = ROOT.joinpath(package, *rest[:depth])
                    waiting += [m for m in (module.with_suffix(".py"), module / "__init__.py") if m.exists()]
    assert {"processes.py", "models.py", "engines.py"} <= {file.name for file in seen}
    assert offenders == []


def test_the_registry_and_the_bundles_of_the_settings_are_opened_in_one_place() -> None:
    own = {"src/scorehouse/registry/client.py", "src/scorehouse/bundles/cache.py"}
    opened = re.compile(r"Registry\(\s*(self\.)?settings\.|BundleCache\([^)]*Trust\.of", re.DOTALL)
    found = {str(file.relative_to(ROOT)) for file in modules() if opened.search(file.read_text())}
    assert found <= own


# A sentence ends after a word and before a capital letter. Initials (A. Smith) and abbreviations do not end one.
SENTENCE_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)(?<!\bcf)(?<=[a-z0-9)])[.?!] +[A-Z]")
LEAD_IN = re.compile(r"^\s*(?:[-*] |\d+\. )?(?:\*\*[^*]+\*\*)?")  # the mark of a list, and a label in bold


def prose_faults(markdown: str) -> list[str]:
    """Return the lines that are too long or hold two sentences. Code, tables and headings may."""
    faults = []
    in_code = False
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and not line.lstrip().startswith(("|", "#")):
            text = re.sub(r"\]\([^)]*\)|https?://[^\s>)]+", "]", line)  # addresses do not count
            if len(text) > 120:
                faults.append(f"line {number} is over 120 columns: {text.strip()[:60]}…")
            words = re.sub(r"`[^`]*`", "Code", LEAD_IN.sub("", text).replace("*", ""))
            if two := SENTENCE_END.search(words):
                faults.append(f"line {number} holds two sentences: …{words[: two.end()][-40:]}…")
    return faults


def test_markdown_has_one_sentence_per_line_and_at_most_120_columns() -> None:
    for bad in ("One. Two.", "1. Is it? It is.", "- **Label.** *One.* Two.", "`a`. Then b.", "word " * 25):
        assert len(prose_faults(bad)) == 1, bad
    fine = ("1. **Label.** See A. Smith, e.g. Prometheus.", "| A b. C |", "```", "A b. C", "```", f"[x](y/{'z' * 120})")
    assert prose_faults("\n".join(fine)) == []
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert {str(p.relative_to(ROOT)): faults for p in pages if (faults := prose_faults(p.read_text()))} == {}
