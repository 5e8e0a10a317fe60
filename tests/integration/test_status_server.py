"""The status service behind a real server: streams, stopping, a body without an end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import uvicorn

from shared.contracts import facts
from shared.contracts.base import Phase
from tests.status_house import House

DEADLINE = 30.0


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path, upload_limit_bytes=1024 * 1024)


@pytest.fixture
def reader() -> Iterator[httpx.Client]:
    """One that is still there when the server is asked to stop."""
    with httpx.Client(timeout=DEADLINE) as client:
        yield client


@pytest.fixture
def base(house: House, reader: httpx.Client) -> Iterator[str]:
    config = uvicorn.Config(house.service.app, host="127.0.0.1", port=0, access_log=False, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    give_up = time.monotonic() + DEADLINE
    while not server.started and time.monotonic() < give_up:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    house.service.context.hub.close()
    server.should_exit = True
    thread.join(DEADLINE)
    assert not thread.is_alive(), "an open stream keeps the server from stopping"
    house.service.close()


def test_a_stream_tells_of_a_fact_and_lets_the_server_stop(house: House, base: str, reader: httpx.Client) -> None:
    batch_id = uuid4()
    with httpx.Client(timeout=DEADLINE) as client:
        with client.stream("GET", f"{base}/api/v1/events", params={"batch": str(batch_id)}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines).startswith("retry: ")
            house.tell(
                facts.BatchAllowed(batch_id=uuid4(), until=Phase.SEND),
                facts.BatchAllowed(batch_id=batch_id, until=Phase.SEND),
            )
            data = next(line for line in lines if line.startswith("data: ") and "batches" in line)
        assert json.loads(data.removeprefix("data: "))["batches"] == [str(batch_id)]
        reader.send(reader.build_request("GET", f"{base}/api/v1/events"), stream=True)
        assert client.get(f"{base}/healthz").json()["status"] == "ok"


def test_a_body_without_an_end_is_cut_off(base: str) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
        while sent < 500_000_000:
            sent += 65_536
            yield b"0" * 65_536

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{base}/api/v1/batches", content=endless(), headers=headers, timeout=DEADLINE)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the server answered and closed while the client was still sending
    assert sent < 100_000_000
