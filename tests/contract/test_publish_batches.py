"""docs/how-to/publish-batches.md and the files that it names say what the contract says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from services.ingest.form import SENTENCES
from services.ingest.tracciato.problems import PROBLEMS, STRUCTURE
from shared.bus.topology import OUTCOMES
from shared.contracts.commands import RequestBatch
from shared.contracts.outcomes import BatchOutcome, RecordState

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "publish-batches.md").read_text(encoding="utf-8")
REQUEST, OUTCOME = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OF_OPTIONS = {"due-date-past", "unknown-letter", "unknown-payment-type"}
OF_SHEETS = {
    "merged-cell", "error-cell", "formula-without-value", "date-in-text", "digits-lost", "leading-zeros-lost", "not-an-amount",
    "ambiguous-amount", "too-many-decimals", "unknown-channel",
}  # fmt: skip
"""What only a cell can have."""


def test_every_code_has_its_line() -> None:
    codes = PAGE.partition("## Codes")[2].partition("## What to do")[0]
    named = {
        code for line in re.findall(r"^\| (`[^|]+) \|", codes, re.MULTILINE) for code in re.findall(r"`([^`]+)`", line)
    }
    assert STRUCTURE.keys() > OF_OPTIONS
    assert named == SENTENCES.keys() | OF_OPTIONS | (PROBLEMS.keys() - OF_SHEETS)


def test_the_request_is_one_and_the_example_s() -> None:
    shown = json.loads(REQUEST)
    RequestBatch.model_validate_json(REQUEST)
    example = json.loads((ROOT / "deploy/examples/request.json").read_text(encoding="utf-8"))
    assert {**example, "records": shown["records"]} == shown
    for value in shown["records"][0]["postal"].values():
        assert value in (ROOT / "deploy/examples/records.csv").read_text(encoding="utf-8").splitlines()[1]


def test_the_outcome_is_one_and_every_state_is_named() -> None:
    BatchOutcome.model_validate_json(OUTCOME)
    assert [state.value for state in RecordState if f"`{state.value}`" not in PAGE] == []


def test_the_queue_s_bounds_are_those_of_the_topology() -> None:
    assert f"{OUTCOMES['x-max-length']:,} messages or {OUTCOMES['x-max-length-bytes'] // 1_000_000} MB" in PAGE
