"""`staffetta up` as a process, and its API as another program calls it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.run_hand import STAFFETTA, due

PATIENCE_SECONDS = 90.0


class Up:
    """A running dashboard. `api` is at `/api/v1`; `mail` and `pagopa` are the simulators."""

    def __init__(self, process: subprocess.Popen[str], addresses: list[str]) -> None:
        self.process = process
        self.address, pagopa, mail = addresses
        self.api = httpx.Client(base_url=f"{self.address}/api/v1", timeout=30)
        self.pagopa = httpx.Client(base_url=pagopa, timeout=30)
        self.mail = httpx.Client(base_url=mail, timeout=30)

    def close(self) -> None:
        """Let go of the connections."""
        for client in (self.api, self.pagopa, self.mail):
            client.close()

    def post(self, path: str, **arguments: Any) -> dict[str, Any]:
        """A command; its 202."""
        answer = self.api.post(path, **arguments)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def get(self, path: str) -> dict[str, Any]:
        """What stands there."""
        answer = self.api.get(path)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def upload(self, sheet: Path, **fields: str) -> str:
        """A batch of the spreadsheet; its id."""
        data = {
            "creditor": "c_x999", "channel": "email", "payment_type": "scuolabus", "due_date": due().isoformat(),
            "reason": "Trasporto scolastico", **fields,
        }  # fmt: skip
        with sheet.open("rb") as file:
            return str(self.post("/batches", data=data, files={"file": (sheet.name, file)})["batch_id"])

    def batch(self, batch: str) -> dict[str, Any]:
        """The batch."""
        return self.get(f"/batches/{batch}")

    def records(self, batch: str) -> list[dict[str, Any]]:
        """All records of a (small) batch, by row."""
        answer = self.api.post(f"/batches/{batch}/records/search", json={"page_size": 200})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def states(self, batch: str) -> list[str]:
        """The records' states, by row."""
        return [record["state"] for record in self.records(batch)]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """What `condition` answers as soon as it is true; fails where it is not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds} s: {what}")


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """`staffetta up` on a folder, ended with SIGTERM."""
    process = subprocess.Popen(
        [STAFFETTA, "up", folder, "--port", "0"], stderr=subprocess.PIPE, text=True, cwd=folder.parent
    )
    assert process.stderr is not None
    said: list[str] = []
    while len(addresses := re.findall(r"http://127\.0\.0\.1:\d+", " ".join(said))) < 3:
        line = process.stderr.readline()
        assert line, f"ended with {process.wait()}: {said}"
        said.append(line)
    here = Up(process, addresses)
    try:
        yield here
    finally:
        here.close()
        process.terminate()
        process.wait(30)
        process.stderr.close()
