"""Prometheus' own tools check its configuration and rules; rules ask only for metrics that the product exports."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.metrics import MetricWrapperBase

from scorehouse import metrics
from tests.toy import ROOT

FOLDER, START = ROOT / "monitoring" / "prometheus", ROOT / "monitoring" / "alertmanager" / "start.sh"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
ALERTS = ("alerts.yml", "flights.yml")


def promtool(*arguments: str) -> str:
    """Return the output of promtool; fail if it finds a fault."""
    program = shutil.which("promtool")
    assert program, "promtool is missing: install Debian's package prometheus"
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_configuration_is_valid() -> None:
    assert "valid prometheus config" in promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_goes_from_inactive_to_firing_and_back(name: str) -> None:
    promtool("test", "rules", f"tests/{name}")
    text = (FOLDER / "tests" / name).read_text()
    for rule in (rule for rule in rules(name) if "alert" in rule):
        samples_and_states = re.findall(rf'alertname="{rule["alert"]}".*exp_samples: (\[.*\])\}}  # (\w+)', text)
        states = {state for _, state in samples_and_states}
        assert {"inactive", "firing", "cleared"} <= states, f"{rule['alert']} is only tested {states}"
        assert all((samples == "[]") == (state != "firing") for samples, state in samples_and_states)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_text_and_a_severity(name: str) -> None:
    for rule in (rule for rule in rules(name) if "alert" in rule):
        assert {"summary", "description"} <= rule["annotations"].keys(), rule["alert"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]


def test_rules_ask_only_for_declared_metrics_and_recorded_series() -> None:
    every = [rule for name in ("recording.yml", *ALERTS) for rule in rules(name)]
    declared = {"up"} | {rule["record"] for rule in every if "record" in rule}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            declared |= {metric._name + suffix for suffix in SUFFIXES[str(metric._type)]}
    for rule in every:
        for name in re.findall(r"\b(?:scorehouse|evidently)[_:][\w:]+", rule["expr"]):
            assert name in declared, f"{rule.get('alert') or rule['record']} asks for {name}"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"ALERT_WEBHOOK_URL": "http://127.0.0.1:9/it's?a=1"}, ["webhook_configs"]),
        (
            {
                "ALERT_EMAIL_TO": "people@example.org",
                "ALERT_EMAIL_FROM": "house@example.org",
                "ALERT_SMTP_ADDRESS": "127.0.0.1:25",
                "ALERT_SMTP_USER": "house",
                "ALERT_SMTP_PASSWORD": "it's: #secret",
            },
            ["email_configs"],
        ),
    ],
)
def test_alertmanagers_configuration_is_written_from_the_environment(
    environ: dict[str, str], expected: list[str], tmp_path: Path
) -> None:
    amtool = shutil.which("amtool")
    assert amtool, "amtool is missing: install Debian's package prometheus-alertmanager"
    path = tmp_path / "alertmanager.yml"
    variables = {"PATH": "/usr/bin:/bin", "ALERTMANAGER": "true", "ALERTMANAGER_CONFIG": str(path), **environ}
    subprocess.run([START], env=variables, check=True, timeout=20)
    subprocess.run([amtool, "check-config", str(path)], check=True, capture_output=True, timeout=20)
    receiver = yaml.safe_load(path.read_text())["receivers"][0]
    assert sorted(receiver.keys() - {"name"}) == expected
    assert all(config["send_resolved"] for kind in expected for config in receiver[kind])
    assert path.stat().st_mode & 0o077 == 0


def test_a_mail_address_without_a_mail_server_is_refused_with_one_line(tmp_path: Path) -> None:
    config = str(tmp_path / "a.yml")
    variables = {"PATH": "/usr/bin:/bin", "ALERT_EMAIL_TO": "a@example.org", "ALERTMANAGER_CONFIG": config}
    done = subprocess.run([START], env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "ALERT_EMAIL_TO needs the mail server as host:port: set ALERT_SMTP_ADDRESS" in done.stderr
