"""The chains of migrations and the roles, on a server of their own: roles belong to a whole server."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.migrations import chains
from shared.bus.outages import OUTAGES
from shared.db.engine import Database, WrongRevision
from tests.servers import postgresql

ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
PASSWORDS = {f"STAFFETTA_{name.upper()}_PASSWORD": f"it's {name}" for name in ("owner", *chains.SERVICES)}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with the roles, and every chain at its head; the administrator's URL of the database."""
    with postgresql.private() as found:
        url = make_url(found.url)
        for _ in range(2):  # it may be run again
            where = ["-h", str(url.host), "-p", str(url.port), "-U", "postgres", "-d", "postgres"]
            done = subprocess.run(
                ["psql", "-X", "-q", *where, "-f", ROLES],
                env=os.environ | PASSWORDS,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        administrator = url.set(database="staffetta").render_as_string(hide_password=False)
        result = migrate("--url", as_role(administrator, "staffetta"))
        assert result.exit_code == 0, result.output
        yield administrator


def migrate(*arguments: str) -> Any:
    """The command, as it is typed."""
    return CliRunner().invoke(app, ["migrate", *arguments], env={"STAFFETTA_DATABASE_URL": ""})


def as_role(url: str, role: str) -> str:
    """The same database, as somebody else."""
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def database_of(url: str, service: str, role: str = "") -> Database:
    """A service's database, by its own role."""
    return Database(as_role(url, role or service), chains.metadata_of(service), service)


def test_a_password_that_is_not_given_is_named_and_no_other_is_printed(server: str) -> None:
    url = make_url(server)
    where = ["-h", str(url.host), "-p", str(url.port), "-U", "postgres", "-d", "postgres"]
    given = {name: value for name, value in PASSWORDS.items() if name != "STAFFETTA_STATUS_PASSWORD"}
    done = subprocess.run(
        ["psql", "-X", "-q", *where, "-f", ROLES],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "(status, )" in done.stderr
    assert "it's" not in done.stdout + done.stderr


def test_a_check_names_the_role_of_another_service(server: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "services.iuv", "--check"], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "STAFFETTA_FOLDER": str(tmp_path), "STAFFETTA_BROKER_URL": "amqp://127.0.0.1:1//",
             "STAFFETTA_DATABASE_URL": as_role(server, "render")},
    )  # fmt: skip
    assert told.returncode == 1
    assert "non può leggere lo schema «iuv»: ogni servizio ha il suo" in told.stderr


@pytest.mark.parametrize("service", chains.SERVICES)
def test_models_and_head_agree(server: str, service: str) -> None:
    with chains.transaction(server) as connection:
        options = chains.comparing(service)
        context = MigrationContext.configure(connection, opts={**options, "compare_server_default": True})
        difference = compare_metadata(context, options["target_metadata"])
    assert difference == [], "scripts/revise.py writes what is missing"
    assert chains.head_of(service) == importlib.import_module(f"services.{service}.tables").REVISION


@pytest.mark.parametrize("service", chains.SERVICES)
def test_a_chain_is_one_line_of_numbers(service: str) -> None:
    revisions = [each.revision for each in ScriptDirectory.from_config(chains.config_of(service)).walk_revisions()]
    assert revisions[::-1] == [f"{number:04d}" for number in range(1, len(revisions) + 1)]


def test_a_second_run_changes_nothing_and_says_so(server: str) -> None:
    owner = as_role(server, "staffetta")
    assert "ingest: 0001 → " not in (again := migrate("--url", owner)).output
    assert (again.exit_code, again.output.count("già aggiornato")) == (0, len(chains.SERVICES))
    looked = migrate("--check", "--url", owner)
    assert (looked.exit_code, looked.output.count(", aggiornato")) == (0, len(chains.SERVICES))


def test_an_empty_database_is_told_by_check_and_left_empty(server: str) -> None:
    postgresql.execute(server, "CREATE DATABASE fresh OWNER staffetta")
    owner = make_url(as_role(server, "staffetta")).set(database="fresh").render_as_string(hide_password=False)
    looked = migrate("iuv", "--check", "--url", owner)
    assert looked.exit_code == 1
    assert "iuv: vuoto, va portato a" in looked.output
    assert migrate("iuv", "--url", owner).exit_code == 0
    assert postgresql.execute(owner, "SELECT count(*) FROM iuv.iuv_ledger") == 0
    assert postgresql.execute(owner, "SELECT to_regclass('ingest.row') IS NULL") is True


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Manca STAFFETTA_DATABASE_URL"),
        (["--url", "nonsense"], "non è un indirizzo valido"),
        (["pagamenti", "--url", "postgresql+psycopg://x@127.0.0.1:1/x"], "«pagamenti» non esiste"),
        (["--url", "postgresql+psycopg://x:geheim@127.0.0.1:1/x"], "non risponde"),
    ],
)
def test_a_wrong_use_is_told_without_the_password(arguments: list[str], told: str) -> None:
    done = migrate(*arguments)
    assert done.exit_code == 2
    assert told in done.output
    assert "geheim" not in done.output


def test_a_role_that_may_not_migrate_is_told(server: str) -> None:
    assert migrate("--url", as_role(server, "iuv")).exit_code == 2


@pytest.mark.parametrize(("found", "told"), [("0000", "staffetta migrate"), ("9999", "aggiorna il programma")])
def test_a_service_refuses_a_schema_that_it_was_not_written_for(server: str, found: str, told: str) -> None:
    database = database_of(server, "render")
    database.check_revision()
    change = "UPDATE render.alembic_version SET version_num = '{}'"
    head = chains.head_of("render")
    postgresql.execute(server, change.format(found))
    try:
        with pytest.raises(WrongRevision, match=told):
            database.check_revision()
        if found > head:
            ahead = migrate("render", "--url", as_role(server, "staffetta"))
            assert (ahead.exit_code, "più recente" in ahead.output) == (1, True)
    finally:
        postgresql.execute(server, change.format(head))
        database.close()


def test_a_service_refuses_an_empty_schema() -> None:
    database = Database(postgresql.shared(), chains.metadata_of("render"), "nowhere")
    with pytest.raises(WrongRevision, match="vuoto"):
        database.check_revision()
    database.close()


# -- the least rights


@pytest.mark.parametrize("service", chains.SERVICES)
def test_a_service_reads_and_writes_its_own_schema(server: str, service: str) -> None:
    database = database_of(server, service)
    with database.write() as session:
        for table in chains.metadata_of(service).sorted_tables:
            session.execute(table.select().with_for_update() if "rights" not in table.info else table.select())
    database.close()


@pytest.mark.parametrize("service", chains.SERVICES)
def test_a_service_is_refused_on_every_other_schema(server: str, service: str) -> None:
    database = database_of(server, service)
    for other in set(chains.SERVICES) - {service}:
        for table in chains.metadata_of(other).sorted_tables:
            with pytest.raises(OUTAGES, match="42501"), database.read() as session:
                session.execute(table.select())
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE protocol.register_entry SET subject = ''",
        "DELETE FROM protocol.register_entry",
        "TRUNCATE protocol.register_entry",
        "ALTER TABLE protocol.register_entry DISABLE TRIGGER ALL",
        "DROP TABLE protocol.register_head",
        "CREATE TABLE protocol.other (id int)",
        "CREATE TABLE public.other (id int)",
        "CREATE SCHEMA other",
        "UPDATE protocol.alembic_version SET version_num = '0000'",
        "SET ROLE staffetta",
    ],
)
def test_what_the_register_holds_is_safe_from_its_own_service(server: str, statement: str) -> None:
    database = database_of(server, "protocol")
    with pytest.raises(DBAPIError, match="42501"), database.write() as session:
        session.execute(text(statement))
    database.close()


def test_even_the_owner_cannot_empty_the_register(server: str) -> None:
    for statement in ("TRUNCATE protocol.register_entry", "DELETE FROM protocol.register_entry"):
        with pytest.raises(DBAPIError, match="never changed"):
            postgresql.execute(as_role(server, "staffetta"), statement)
