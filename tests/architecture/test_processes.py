"""A service runs alone, with nothing but its own extra installed (docs/adr/0002)."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.cli.app import ServiceName

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/wire.py"))
# Where a distribution's package has another name than the distribution.
PACKAGES = {
    "python-stdnum": "stdnum", "email-validator": "email_validator", "zint-bindings": "zint", "zxing-cpp": "zxingcpp",
    "fontpkg-titillium-web": "fontpkg_titillium_web", "fontpkg-roboto-mono": "fontpkg_roboto_mono", "fonttools": "fontTools",
    "python-multipart": "python_multipart", "prometheus-client": "prometheus_client", "pydantic-settings": "pydantic_settings",
}  # fmt: skip

TAKEN_WHERE_THERE = {"rich", "email_validator"}
"""What a library of ours (structlog, fastapi) uses where it happens to be installed."""


def packages(requirements: list[str]) -> set[str]:
    names = {requirement.partition(">=")[0] for requirement in requirements if "[" not in requirement}
    return {PACKAGES.get(name, name) for name in names}


def loaded_by(service: str) -> set[str]:
    """All modules that are loaded once the service's entry is imported, in an interpreter of its own."""
    code = f"import json, sys; import services.{service}.__main__; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(json.loads(told.stdout))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_without_the_others_and_without_what_only_they_need(service: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    own = packages(extras[service]) | packages(project["dependencies"])
    foreign = set().union(*(packages(wanted) for wanted in extras.values())) - own - TAKEN_WHERE_THERE
    loaded = loaded_by(service)
    others = {f"services.{other}" for other in SERVICES if other != service}
    assert loaded & (others | foreign | {"deploy"}) == set()


def test_the_command_line_knows_every_service() -> None:
    assert sorted(name.value for name in ServiceName) == SERVICES
