"""The files by which it is installed: that they are what their tools accept, confined, and in step with the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.app import ServiceName
from shared.bus.topology import Topology
from shared.bus.users import users
from shared.creditors import load_creditors
from tests.compose_hand import DEPLOY, ROOT, declared

OURS = [name.value for name in ServiceName]
SERVICES: dict[str, dict[str, Any]] = declared()["services"]


def test_the_compose_file_is_valid_by_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", [name for name, told in SERVICES.items() if told["restart"] != "no"])
def test_what_lasts_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_each_service_logs_in_as_itself(name: str) -> None:
    told = SERVICES[name]["environment"]
    assert told["STAFFETTA_BROKER_URL"].startswith(f"amqp://{name}:")
    assert told["STAFFETTA_DATABASE_URL"].startswith(f"postgresql+psycopg://{name}:")
    assert SERVICES[name]["command"] == ["staffetta", "service", name]


def test_every_user_of_the_broker_has_a_password_of_its_own() -> None:
    wanted = {user.name for user in users(Topology(clients=tuple(load_creditors().clients)))}
    named = tomllib.loads((DEPLOY / "rabbitmq" / "users.toml").read_text())
    assert named.keys() == wanted
    given = SERVICES["definitions"]["environment"]
    passwords = [given[reference.removeprefix("env:")] for reference in named.values()]
    assert len(set(passwords)) == len(passwords)
    assert all(password.startswith("prova-") for password in passwords)


def test_the_image_is_made_with_the_pinned_uv_and_the_libraries_of_setup() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    pinned = re.search(r"^uv==(\S+)", (ROOT / "scripts" / "uv.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"ghcr.io/astral-sh/uv:{pinned[1]} " in image
    libraries = re.findall(
        r'"lib[\w.-]+so[\w.-]*": "(lib(?:pango|harfbuzz)[\w.-]+)"', (ROOT / "scripts/setup.py").read_text()
    )
    assert len(libraries) == 3
    assert all(f" {library}" in image for library in libraries)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, for a program that is installed here."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd"
    folder = tmp_path / "system"
    shutil.copytree(DEPLOY / "systemd", folder)
    unit = folder / "staffetta@.service"
    here = Path(sys.executable).with_name("staffetta")
    unit.write_text(unit.read_text().replace("/opt/staffetta/.venv/bin/staffetta", str(here)))
    return folder


def analyzed(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("name", OURS)
def test_systemd_finds_nothing_wrong_with_a_unit(units: Path, name: str) -> None:
    told = analyzed("verify", "--man=no", f"./staffetta@{name}.service", "./staffetta.target", cwd=units)
    about_ours = [
        line for line in told.stderr.splitlines() if "staffetta" in line
    ]  # other units of this machine are not ours
    assert about_ours == []


def test_systemd_calls_a_unit_confined(units: Path) -> None:
    """0 to 100, the lower the better; what has network access cannot be much below 15."""
    told = analyzed("security", "--offline=true", "--threshold=20", "./staffetta@iuv.service", cwd=units)
    assert told.returncode == 0, told.stdout
