"""Ask Staffetta for a batch over RabbitMQ, and print what becomes of it. Needs pika and nothing of Staffetta's.

    BROKER_URL='amqps://gestionale-scuola:PASSWORD@broker.comune.borgo-esempio.example/%2F' \\
        python publish_batch.py request.json [records.csv]

The first is the message; its records may come in a CSV. The same request_id is the same batch: after any interruption give the
same command again. Exit codes: 0 all is done that was asked for, 1 it was refused, 2 the broker is away or says no.
"""

import csv
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pika
from pika.exceptions import AMQPError

DONE, REFUSED, INTERRUPTED = 0, 1, 2
KEY, PHASES = "ingest.request-batch.v1", ("preview", "generate", "send")


def listed(csv_file: Path) -> Iterator[dict[str, Any]]:
    """The records of a CSV whose headings are the contract's: `name`, `postal.street`, `columns.Alunno`."""
    with csv_file.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            record: dict[str, Any] = {"amount_cents": int(row.pop("amount_cents"))}
            for heading, text in row.items():
                inside, _, name = heading.rpartition(".")
                (record.setdefault(inside, {}) if inside else record)[name] = text
            yield record


def publish(channel: Any, client: str, request: dict[str, Any]) -> str:
    """Returns the message's id once the broker has it for certain; raises where it has not."""
    message_id, now = str(uuid4()), datetime.now(UTC).isoformat()
    about = {"specversion": "1.0", "id": message_id, "type": f"it.staffetta.{KEY}", "source": f"/{client}", "time": now}
    properties = pika.BasicProperties(
        content_type="application/json", delivery_mode=2, message_id=message_id,
        user_id=client,  # the broker checks it: without it nobody knows who asks, and nobody is answered
        headers={f"cloudEvents_{name}": text for name, text in about.items()},
    )  # fmt: skip
    channel.confirm_delivery()
    channel.basic_publish("staffetta.intake", KEY, json.dumps(request).encode(), properties, mandatory=True)
    return message_id


def follow(channel: Any, client: str, message_id: str) -> int:
    """Print what is told until it ends. The queue may hold what was told of earlier requests, or is told twice."""
    accepted: dict[str, Any] = {}
    for method, properties, body in channel.consume(f"staffetta.outcomes.{client}"):
        kind, told = method.routing_key.split(".")[1], json.loads(body)
        print(kind, json.dumps(told, ensure_ascii=False), flush=True)  # here a real system keeps it, and then lets go
        channel.basic_ack(method.delivery_tag)
        answer = properties.headers.get("cloudEvents_causationid") == message_id
        if answer and kind == "request-refused":
            return REFUSED
        accepted = told if answer else accepted
        ended = kind == "batch-outcome" and told["done"] and told["batch_id"] == accepted.get("batch_id")
        if ended and PHASES.index(told["until"]) >= PHASES.index(accepted["until"]):
            return DONE  # a lesser `until` is a word from before our message
    return INTERRUPTED


if __name__ == "__main__":
    url, request = os.environ["BROKER_URL"], json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    request |= {"records": list(listed(Path(sys.argv[2])))} if sys.argv[2:] else {}
    try:
        line = pika.BlockingConnection(pika.URLParameters(url)).channel()
        user = str(urlsplit(url).username)
        sys.exit(follow(line, user, publish(line, user, request)))
    except AMQPError as error:
        print(repr(error), file=sys.stderr)
        sys.exit(INTERRUPTED)
