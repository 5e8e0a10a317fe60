"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from services.status.model import TITLES

ROOT = Path(__file__).resolve().parents[2]
CODE = ("shared", "services", "deploy", "scripts")
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
ADR_HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
LONGEST_MODULE = 250
LONGER_MODULES = {
    "shared/contracts/facts.py": "a list of messages without behaviour: one place to look them up",
}
# What a log call must not be given: the names under which the record carries people.
PERSONAL = {
    "debtor", "fiscal_code", "codice_fiscale", "vat_code", "address", "recipient", "name", "amount", "amount_cents",
    "iuv", "notice_code", "email", "subject", "reason", "cells",
}  # fmt: skip


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_a_decision_has_its_number_its_headings_and_a_status(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem[:4]}: ")
    assert re.search(r"^Status: (accepted, \d{4}-\d{2}-\d{2}|superseded by \d{4})$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_HEADINGS


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.stem[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))


def test_the_changelog_opens_with_what_is_unreleased_and_its_contracts() -> None:
    headings = re.findall(r"^##+ (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", "Contracts"]


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    assert [package["version"] for package in lock["package"] if package["name"] == "staffetta"] == [version]
    assert yaml.safe_load((ROOT / "publiccode.yml").read_text())["softwareVersion"] == version


def test_publiccode_says_what_the_standard_asks() -> None:
    told = yaml.safe_load((ROOT / "publiccode.yml").read_text(encoding="utf-8"))
    mandatory = {
        "publiccodeYmlVersion", "name", "url", "platforms", "categories", "developmentStatus", "softwareType",
        "description", "legal", "maintenance", "localisation",
    }  # fmt: skip
    assert mandatory <= told.keys()
    for language, about in told["description"].items():
        assert len(about["shortDescription"]) <= 150, language
        assert 150 <= len(about["longDescription"]) <= 10_000, language
        assert about["features"], language
    assert told["legal"]["license"] == "EUPL-1.2"
    assert "EUROPEAN UNION PUBLIC LICENCE v. 1.2" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["docs/glossary.md", "docs/guida/4-stati.md"])
def test_every_state_that_a_clerk_reads_is_explained(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [title for title in TITLES.values() if title not in text] == []


def test_no_module_is_too_long_to_be_read() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*CODE)}
    assert {name for name, length in lengths.items() if length > LONGEST_MODULE} == set(LONGER_MODULES)


def test_every_module_says_what_it_is() -> None:
    def documented(path: Path) -> bool:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return not tree.body or ast.get_docstring(tree) is not None

    assert [name_of(path) for path in modules(*CODE) if not documented(path)] == []


def test_log_events_are_constants_and_carry_nothing_about_people() -> None:
    guilty = []
    for path in modules(*CODE):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            logger = call.func.value
            if not (isinstance(logger, ast.Name) and logger.id in {"log", "_log", "logger"}):
                continue
            constant = bool(call.args) and isinstance(call.args[0], ast.Constant)
            if not constant or {keyword.arg for keyword in call.keywords} & PERSONAL:
                guilty.append(f"{name_of(path)}:{call.lineno}")
    assert guilty == []


def test_every_link_in_the_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:")) and not (page.parent / target).exists():
                broken.append(f"{name_of(page)}: {target}")
    assert broken == []


def test_every_file_named_in_the_pages_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"`((?:shared|services|deploy|tests|scripts|docs)/[\w./-]+)`")
    missing = []
    for page in pages:
        for path in named.findall(page.read_text(encoding="utf-8")):
            if not (ROOT / path).exists():
                missing.append(f"{name_of(page)}: {path}")
    assert missing == []
