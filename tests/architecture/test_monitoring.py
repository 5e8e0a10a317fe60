"""The board and the alert rules name what the code measures, and have the shape that Grafana and Prometheus read."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
import yaml

from tests.monitoring_hand import BOARD, OF_OTHERS, ROOT, RULES, expressions, named

PAGE = "docs/how-to/operate.md"
KINDS = {"Counter", "Gauge", "Histogram", "Info", "GaugeMetricFamily"}
SUFFIXES = {
    "Counter": ("_total",), "Histogram": ("_bucket", "_sum", "_count"), "Gauge": ("",), "GaugeMetricFamily": ("",),
    "Info": ("_info",),
}  # fmt: skip


def measured() -> dict[str, set[str]]:
    """Series that the code makes, with their labels."""
    found: dict[str, set[str]] = {}
    for path in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KINDS):
                continue
            strings = [
                node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            names = [text for text in strings if re.fullmatch(r"staffetta_[a-z_]+", text)]
            for name in names:
                for suffix in SUFFIXES[call.func.id]:
                    found[name + suffix] = set(strings) - {name}
    found["staffetta_build_info"] |= {"version", "python"}
    source = (ROOT / "services/ingest/gauges.py").read_text(encoding="utf-8")
    return found | {name: set() for name in re.findall(r'"(staffetta_[a-z_]+)"', source) if name not in found}


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_that_is_asked_for_is_measured(expression: str) -> None:
    assert named(expression)
    assert named(expression) <= measured().keys() | OF_OTHERS
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


@pytest.mark.parametrize("expression", expressions())
def test_what_is_grouped_by_is_a_label_of_the_metric(expression: str) -> None:
    [grouped] = re.findall(r"by \(([^)]*)\)", expression)[:1] or [""]
    names = re.findall(r"\b(?:staffetta|rabbitmq)_[a-z_]+\b", expression)
    known = {"instance", "le", "job"} | {label for name in names for label in measured().get(name, {"queue"})}
    assert {label.strip() for label in grouped.split(",") if label} <= known


def test_a_quantile_is_taken_of_rates_of_buckets() -> None:
    for expression in expressions():
        if "histogram_quantile" in expression:
            assert re.search(r"by \([a-z]+, le\) \(rate\(staffetta_[a-z_]+_bucket\[\d+m\]\)\)", expression), expression
        for counter in re.findall(r"staffetta_[a-z_]+_total\b", expression):
            assert re.search(rf"(rate|increase)\({counter}\[", expression), expression


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_leads_to_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Staffetta[A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith((".", "perché."))
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == PAGE
    headings = re.findall(r"^#+ (.+)$", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_names_of_alerts_and_panels_are_told_apart() -> None:
    for names in (
        [rule["alert"] for rule in RULES],
        [p["title"] for p in BOARD["panels"]],
        [p["id"] for p in BOARD["panels"]],
    ):
        assert len(names) == len(set(names))


def test_the_board_has_the_shape_that_grafana_imports() -> None:
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= BOARD.keys()
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_prometheus_reads_the_rules_and_scrapes_every_service() -> None:
    scraping = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    assert [(ROOT / "deploy/prometheus" / name).exists() for name in scraping["rule_files"]] == [True]
    targets = {
        target.partition(":")[0]
        for job in scraping["scrape_configs"]
        for config in job["static_configs"]
        for target in config["targets"]
    }
    services = {path.parent.name for path in (ROOT / "services").glob("*/wire.py")}
    assert services < targets
