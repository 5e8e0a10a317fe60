"""What Prometheus and Grafana are told to ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/staffetta.json").read_text())
OF_OTHERS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "rabbitmq_queue_messages"}


def expressions() -> list[str]:
    """Those of the alerts, then those of the board."""
    return [rule["expr"] for rule in RULES] + [
        target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
    ]


def named(expression: str) -> set[str]:
    """The series in it."""
    return set(re.findall(r"\b(?:staffetta|process|rabbitmq|python)_[a-z_]+\b|\bup\b", expression))
