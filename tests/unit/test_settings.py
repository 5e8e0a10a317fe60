"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import Settings

NAMES = ("NAMESPACE", "LOG_LEVEL", "CREDITORS", "FOLDER")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"STAFFETTA_{name}", raising=False)


def test_nothing_needs_to_be_set() -> None:
    settings = Settings()
    assert (settings.namespace, settings.log_level, settings.creditors) == ("staffetta", "INFO", None)


def test_the_environment_is_read_and_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFETTA_NAMESPACE", "prova")
    monkeypatch.setenv("STAFFETTA_CREDITORS", "")
    monkeypatch.setenv("STAFFETTA_FOLDER", "dati")
    settings = Settings()
    assert (settings.namespace, settings.creditors, settings.folder) == ("prova", None, Path("dati"))


@pytest.mark.parametrize(("name", "value"), [("NAMESPACE", "a.b"), ("NAMESPACE", "#"), ("LOG_LEVEL", "LOUD")])
def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STAFFETTA_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()
