"""What the environment says reaches the relay, and what it gets wrong is told by name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from deploy.cli.session import WrongUse, opened
from tests.e2e.run_hand import staffetta


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A relay in this process sends its logs to a file of its own: put back what was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STAFFETTA_LOG_LEVEL", "segreto"),
        ("STAFFETTA_IUV_CONNECTIONS", "segreto"),
        ("STAFFETTA_RENDER_WORKERS", "0"),
        ("STAFFETTA_DISPATCH_PEC_RECEIPT", "segreto"),
        ("STAFFETTA_UPLOAD_LIMIT_BYTES", "segreto"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name_and_not_by_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(WrongUse) as wrong, opened(tmp_path):
        pass

    assert f" {name}." in str(wrong.value)
    assert "segreto" not in str(wrong.value)


def test_wrong_variables_are_wrong_use_for_whoever_calls(tmp_path: Path) -> None:
    code, said = staffetta("up", "--port", "0", folder=tmp_path, environment={"STAFFETTA_NAMESPACE": "a.b"})

    assert code == 2, said
    assert "STAFFETTA_NAMESPACE" in said
    assert "Traceback" not in said


def test_an_empty_variable_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOG_LEVEL", "IUV_CONNECTIONS", "RENDER_WORKERS", "DISPATCH_PEC_RECEIPT", "UPLOAD_LIMIT_BYTES"):
        monkeypatch.setenv(f"STAFFETTA_{name}", "")

    with opened(tmp_path) as session:
        assert session.creditors.rehearsal


@pytest.mark.parametrize(("level", "heard"), [("INFO", True), ("ERROR", False)])
def test_the_log_is_as_talkative_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, heard: bool
) -> None:
    monkeypatch.setenv("STAFFETTA_LOG_LEVEL", level)

    with opened(tmp_path):
        structlog.get_logger().info("test.said")

    said = (tmp_path / ".staffetta" / "staffetta.log").read_text(encoding="utf-8")
    assert ("test.said" in said) == heard
