"""What `deploy/compose.yaml` declares, run as processes of this machine: each service's command, environment and health check,
in the order of `depends_on`. Hosts, ports and paths are put in place of the containers'; RabbitMQ and PostgreSQL are private
servers with the shipped settings. (No container engine is needed, and none is proved to work.)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url

from tests.servers import free_port, postgresql, rabbitmq

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 240.0
SERVERS = ("rabbitmq", "postgres")
HEALTH = "9100"
PORTS = re.compile(r"\b(9100|8080|8701|8702|8725)\b")
KEPT_FOR_THE_TEST = ("load_definitions", "disk_free_limit")
"""Lines of `rabbitmq.conf` that a private server has of its own."""


def declared() -> dict[str, Any]:
    """The file, with the defaults of its variables put in, and without the parts that are only referred to."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    told: dict[str, Any] = yaml.safe_load(text)
    return told


def shipped_settings() -> str:
    """What RabbitMQ is told besides where its files are."""
    lines = (DEPLOY / "rabbitmq" / "rabbitmq.conf").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith(KEPT_FOR_THE_TEST))


class Composed:
    """The services, as they are started. `processes` are those that last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: dict[str, dict[str, Any]] = declared()["services"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {port: str(free_port()) for port in ("8080", "8701", "8702", "8725")}
        self._health = {name: str(free_port()) for name in self.services}
        self._held = ExitStack()
        self._addresses: dict[str, tuple[str, str]] = {}
        shutil.copytree(DEPLOY / "examples", folder / "examples")
        creditors = folder / "examples" / "creditors.toml"
        creditors.write_text(PORTS.sub(lambda port: self._ports[port[1]], creditors.read_text(encoding="utf-8")))

    def port(self, declared: str) -> int:
        """What stands for a port of the file."""
        return int(self._ports[declared])

    def health(self, service: str) -> int:
        """The health port of a service."""
        return int(self._health[service])

    def log(self, service: str) -> str:
        """What a service said on stderr."""
        return (self.folder / f"{service}.log").read_text(encoding="utf-8")

    def up(self) -> None:
        """All of them, each once what it depends on is as it must be."""
        for name in self.order():
            self._start(name)
        for name in self.services:
            self._reach(name, "service_healthy" if "healthcheck" in self.services[name] else "service_started")

    def order(self) -> Iterator[str]:
        """Each after what it depends on."""
        done: set[str] = set()
        while len(done) < len(self.services):
            ready = [name for name in self.services if name not in done and set(self._needs(name)) <= done]
            assert ready, "a circle"
            yield from ready
            done.update(ready)

    def terminate(self, name: str) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until it came."""
        started = time.monotonic()
        self.processes[name].send_signal(signal.SIGTERM)
        code = self.processes.pop(name).wait(60)
        return code, time.monotonic() - started

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes.values():
            process.kill()
            process.wait(30)
        self._held.close()

    # -- inside

    def _needs(self, name: str) -> dict[str, dict[str, str]]:
        needed: dict[str, dict[str, str]] = self.services[name].get("depends_on", {})
        return needed

    def _start(self, name: str) -> None:
        for needed, how in self._needs(name).items():
            self._reach(needed, how["condition"])
        if name == "rabbitmq":
            made = Path(self._here(name, "/etc/rabbitmq/staffetta/definitions.json"))
            login = "topology:prova-topology"
            broker = self._held.enter_context(
                rabbitmq.private(management=True, definitions=made, login=login, settings=shipped_settings())
            )
            self._addresses[name] = ("127.0.0.1", str(broker.port))
        elif name == "postgres":
            url = make_url(self._held.enter_context(postgresql.private()).url)
            self._addresses[name] = (str(url.host), str(url.port))
        else:
            self.processes[name] = self._spawn(name)

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        service = self.services[name]
        command = [self._here(name, str(part)) for part in service["command"]]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [self._program(command[0]), *command[1:]], env=self._environment(name), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _environment(self, name: str) -> dict[str, str]:
        """Only what the file and the image say, so that nothing of the test's own helps."""
        told = {key: self._here(name, str(value)) for key, value in self.services[name].get("environment", {}).items()}
        if "PGHOST" in told:
            told["PGHOST"], told["PGPORT"] = self._addresses[told["PGHOST"]]
        image = {"PATH": os.environ["PATH"], "STAFFETTA_FOLDER": str(self.folder / "nowhere"), "LANG": "C.UTF-8"}
        return {**image, "STAFFETTA_CREDITORS": str(self.folder / "examples" / "creditors.toml"), **told}

    def _reach(self, name: str, condition: str) -> None:
        if name in SERVERS or condition == "service_started":
            return
        if condition == "service_completed_successfully":
            if name in self.processes:
                assert self.processes.pop(name).wait(PATIENCE_SECONDS) == 0, f"{name}: {self.log(name)}"
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._healthy(name):
            assert self.processes[name].poll() is None, f"{name}: {self.log(name)}"
            assert time.monotonic() < deadline, f"{name} does not become healthy: {self.log(name)[-3000:]}"
            time.sleep(0.2)

    def _healthy(self, name: str) -> bool:
        kind, program, *rest = (self._here(name, part) for part in self.services[name]["healthcheck"]["test"])
        assert kind == "CMD"
        told = subprocess.run([self._program(program), *rest], check=False, capture_output=True, timeout=60)
        return told.returncode == 0

    def _program(self, name: str) -> str:
        own = BIN / name
        return str(own) if own.exists() else name

    def _here(self, name: str, text: str) -> str:
        """A text of the file, with this machine's hosts, ports and paths in place of the container's."""
        for volume in self.services[name].get("volumes", []):
            source, target = volume.split(":")[:2]
            host = DEPLOY / source if source.startswith("./") else self.folder / source
            if not source.startswith("./"):
                host.mkdir(exist_ok=True)
            if text == target or text.startswith(f"{target}/"):
                return f"{host}{text.removeprefix(target)}"
        for server, (host_name, port) in self._addresses.items():
            text = re.sub(rf"@{server}:[0-9]+", f"@{host_name}:{port}", text)
        text = PORTS.sub(lambda found: {**self._ports, HEALTH: self._health[name]}[found[1]], text)
        return text.replace("0.0.0.0", "127.0.0.1")
