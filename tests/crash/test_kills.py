"""`kill -9` inside each stage's act, and the same command again: nothing is lost, nothing is done twice.

The full measure (300 rows, 20 kills) is `python -m tests.crash.torture`; this is the same in small.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.audit import RunFolder, open_messages
from tests.crash.torture import ROOT, torture

ROWS = 24
MOMENTS = [
    ("pagopa.accepted", 3, 0.0),
    ("render.act", 1, 0.3),
    ("protocol.reserve", 1, 0.0),
    ("mail.begun", 2, 0.0),
    ("mail.accepted", 1, 0.0),
]


def connections() -> int:
    """How many messages may be on their way at once, and so in doubt after a kill."""
    configured = tomllib.loads((ROOT / "deploy" / "examples" / "creditors.toml").read_text())
    mailboxes = configured["creditors"]["c_x999"]["mailboxes"].values()
    return sum(mailbox["connections"] for mailbox in mailboxes)


def test_a_run_that_is_killed_inside_each_stage_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    sheet = tmp_path / "rows.xlsx"
    make = ROOT / "deploy" / "examples" / "make_scuolabus.py"
    subprocess.run([sys.executable, make, "--rows", str(ROWS), "--out", sheet], check=True)

    found, kills, report = torture(tmp_path, sheet, ROWS, MOMENTS)

    assert found.errors == [], report
    assert kills == len(MOMENTS), report
    assert (found.positions, found.registered) == (ROWS, ROWS)
    assert found.uncertain <= kills * connections()
    assert found.uncertain == found.uncertain_accepted + found.uncertain_cut
    assert found.messages == ROWS - found.uncertain_cut
    assert open_messages(RunFolder(tmp_path / "out"), sheet) == []
