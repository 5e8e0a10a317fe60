"""How long a person waits for a preview while a large batch is printed: `python -m tests.bench preview --rows 10000`.

`staffetta up`, as a person runs it, on one machine: the batch with its letters is being generated, and the documents of
another batch's records, which nobody has previewed, are asked for one after the other through the API.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.job import spreadsheet
from tests.e2e.up_hand import Up, up, wait_for

TARGET_SECONDS = 2.0


def main(arguments: Sequence[str]) -> int:
    """0 where the median is below the target."""
    parser = argparse.ArgumentParser("tests.bench preview", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=20)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="staffetta-bench-") as folder:
        large, small = spreadsheet(Path(folder), given.rows), spreadsheet(Path(folder), given.asked)
        with up(Path(folder) / "up") as here:
            looked_at = here.upload(small)
            wait_for("the small batch", lambda: len(here.states(looked_at)) == given.asked)
            batch = here.upload(large, letter="scuolabus", until="generate")
            wait_for("the first notices", lambda: _made(here, batch) > 20, 600)
            before, started = _made(here, batch), time.monotonic()
            waits = [_look(here, record["id"]) for record in here.records(looked_at)]
            made, seconds = _made(here, batch) - before, time.monotonic() - started
            left = given.rows - _made(here, batch)
    median = statistics.median(waits)
    print(
        f"load {os.getloadavg()[0]:.1f}; {made} notices of the batch printed in those {seconds:.0f} s, {left} still to come"
    )
    print(
        f"{len(waits)} previews: median {median:.2f} s, longest {max(waits):.2f} s (must be: below {TARGET_SECONDS} s)"
    )
    return 0 if median < TARGET_SECONDS and left else 1


def _made(here: Up, batch: str) -> int:
    counts: list[dict[str, object]] = here.batch(batch)["counts"]
    return sum(int(str(each["count"])) for each in counts if each["state"] == "generated")


def _look(here: Up, record: str) -> float:
    started = time.monotonic()
    answer = here.api.get(f"/records/{record}/documents/notice")
    assert answer.content.startswith(b"%PDF-"), answer.text
    return time.monotonic() - started
