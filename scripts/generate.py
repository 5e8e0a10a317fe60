"""Write the generated files, or say with `--check` which of them are stale (`make generate`, `make check`)."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from zipfile import ZipFile

import yaml
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PROJECT = ("shared", "services", "deploy")
CONFIGURATION = """\
# Configuration

Generated from the settings classes and the creditors' models by `make generate`. Durations are in seconds.

## Environment"""
CREDITORS = """
## The creditors' file

One TOML file, named by `STAFFETTA_CREDITORS`; without it the rehearsal file `deploy/examples/creditors.toml` serves. Its
comments explain each part in Italian and English. A wrong file is refused at start with every mistake and its key path."""

QUEUES = """\
# Queues

Generated from `shared/bus/topology.py` by `make generate`. The first part of each name is `STAFFETTA_NAMESPACE`. A body that cannot be read at all
ends in the `unreadable` queue of its service. What the broker counts as one message may be a parcel of up to 25 (docs/adr/0023).

| queue | gets (exchange · routing key) |
| --- | --- |"""


def main() -> int:
    """Returns 0, or with `--check` 1 where a file is not what would be generated now."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for name, make in GENERATED.items():
        path = ROOT / name
        wanted = make()
        if path.exists() and _same(path, wanted):
            continue
        stale += 1
        if check:
            print(f"{name} is stale: make generate", file=sys.stderr)
        else:
            path.write_bytes(wanted if isinstance(wanted, bytes) else wanted.encode())
            print(f"{name} written")
    return 1 if check and stale else 0


def _same(path: Path, wanted: str | bytes) -> bool:
    """Of a workbook only what it holds counts: each writing has its own time in it, and each zlib its own way."""
    if isinstance(wanted, str):
        return path.read_text(encoding="utf-8") == wanted

    def parts(content: bytes) -> dict[str, bytes]:
        with ZipFile(BytesIO(content)) as package:
            return {name: package.read(name) for name in package.namelist() if name != "docProps/core.xml"}

    return parts(path.read_bytes()) == parts(wanted)


def configuration() -> str:
    """`docs/configuration.md`: a table per settings class, then one per table of the creditors' file."""
    parts = [CONFIGURATION]
    for module in modules("settings"):
        for kind in own_classes(module, BaseSettings):
            parts.append(table(module.__name__, kind, kind.model_config.get("env_prefix", "").upper()))
    parts.append(CREDITORS)
    models = importlib.import_module("shared.creditors.models")
    parts += [table(kind.__name__, kind) for kind in own_classes(models, BaseModel) if kind.model_fields]
    return "\n".join(parts) + "\n"


def queues() -> str:
    """`docs/queues.md`: what reaches each queue."""
    topology = importlib.import_module("shared.bus.topology")
    names = topology.Topology()
    rows = []
    for queue, bindings in topology.BINDINGS.items():
        keys = "<br>".join(f"`{names.exchange(exchange).name}` · `{key}`" for exchange, key in bindings)
        rows.append(f"| `{names.queue(queue).name}` | {keys} |")
    return "\n".join([QUEUES, *rows]) + "\n"


def openapi() -> str:
    """`docs/openapi.json`: the REST interface."""
    made: str = importlib.import_module("services.status.api.openapi").openapi_json()
    return made


def asyncapi() -> str:
    """`docs/asyncapi.yaml`: the messages."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    told = importlib.import_module("shared.contracts.asyncapi").document(version)
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)


def sheet_codes() -> str:
    """`docs/guida/5-messaggi.md`: what may be said about a spreadsheet."""
    page: str = importlib.import_module("services.ingest.tracciato.problems").codes_page()
    return page


def definitions() -> str:
    """`deploy/rabbitmq/definitions.json`: topology, users and permissions, with the clients of the rehearsal file."""
    bus, creditors = importlib.import_module("shared.bus.users"), importlib.import_module("shared.creditors")
    clients = tuple(creditors.load_creditors(creditors.load.REHEARSAL_FILE).clients)
    names = importlib.import_module("shared.bus.topology").Topology(clients=clients)
    return json.dumps(bus.definitions(names, {}), indent=2) + "\n"


def template() -> bytes:
    """The empty spreadsheet, for the pages of status: ingest makes it, which status does not import."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "TracciatoInvioMassivo.xlsx"
        importlib.import_module("services.ingest.tracciato").write_template(path)
        return path.read_bytes()


def modules(name: str) -> list[ModuleType]:
    """Every module of the project with this last name."""
    found = []
    for package in PROJECT:
        for info in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if info.name.rpartition(".")[2] == name:
                found.append(importlib.import_module(info.name))
    return found


def own_classes(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The classes that a module defines itself, in its order."""
    kinds = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)]
    return [kind for kind in kinds if kind.__module__ == module.__name__]


def table(title: str, kind: type[BaseModel], prefix: str = "") -> str:
    """A heading, the class's own sentence, and a row per field: name, default, meaning."""
    about = dict(field_docstrings(kind))
    rows = ["| name | default | meaning |", "| --- | --- | --- |"]
    for name, field in kind.model_fields.items():
        default = "*required*" if field.is_required() else f"`{plain(field.get_default(call_default_factory=True))}`"
        alias = field.validation_alias
        spelt = alias if isinstance(alias, str) else f"{prefix}{name.upper()}" if prefix else name
        rows.append(f"| `{spelt}` | {default} | {about.get(name, '')} |")
    return "\n".join([f"\n### `{title}`\n", one_line(kind.__doc__ or ""), "", *rows])


def plain(value: object) -> str:
    """A default as a person would write it."""
    if isinstance(value, BaseModel):
        return "as below"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()  # a default is no secret
    return "unset" if value is None else str(value) or '""'


def field_docstrings(kind: type) -> Iterator[tuple[str, str]]:
    """The string that follows each field in the source, as documentation tools read it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    if not isinstance(body, ast.ClassDef):
        return
    for field, text in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            yield field.target.id, one_line(text.value.value)


def one_line(text: str) -> str:
    """For a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


# Each file and what makes its text.
GENERATED: dict[str, Callable[[], str | bytes]] = {
    "docs/configuration.md": configuration,
    "docs/queues.md": queues,
    "docs/openapi.json": openapi,
    "docs/asyncapi.yaml": asyncapi,
    "docs/guida/5-messaggi.md": sheet_codes,
    "deploy/rabbitmq/definitions.json": definitions,
    "services/status/web/TracciatoInvioMassivo.xlsx": template,
}

if __name__ == "__main__":
    sys.exit(main())
