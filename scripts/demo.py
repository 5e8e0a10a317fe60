"""The whole relay on 25 invented debtors, with simulators: `make demo`. Results in `demo/`, made anew each time.

The due date is 60 days from today, so that yesterday's folder would be another request: it is removed first, but only
where it is a folder of the relay that no process holds.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demo"
WRONG_USE = 2


def main() -> int:
    """The exit code of `staffetta run`, or 2 where `demo/` is not ours to remove."""
    refusal = remove_previous()
    if refusal:
        print(f"demo: {refusal}", file=sys.stderr)
        return WRONG_USE
    due_date = datetime.now(ZoneInfo("Europe/Rome")).date() + timedelta(days=60)
    command = [
        *("staffetta", "run", "deploy/examples/scuolabus.xlsx", "--creditor", "c_x999", "--channel", "auto"),
        *("--payment-type", "scuolabus", "--due-date", due_date.isoformat()),
        *("--reason", "Servizio di trasporto scolastico"),
        *("--register", "--subject", "Avviso di pagamento trasporto scolastico"),
        *("--classification", "7.1", "--office", "scuola"),
        *("--letter", "scuolabus", "--until", "send", "--out", OUT.name),
    ]
    print(" ".join(f'"{part}"' if " " in part else part for part in command), flush=True)
    return subprocess.run([ROOT / ".venv" / "bin" / command[0], *command[1:]], check=False, cwd=ROOT).returncode


def remove_previous() -> str:
    """Remove the folder of an earlier demo. Returns why not, or nothing."""
    if not OUT.exists():
        return ""
    lock = OUT / ".staffetta" / "lock"
    if not lock.is_file():
        return f"{OUT.name}/ was not made by the relay; move it away first"
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return f"another process works on {OUT.name}/ (staffetta up?); end it first"
        shutil.rmtree(OUT)
    return ""


if __name__ == "__main__":
    sys.exit(main())
