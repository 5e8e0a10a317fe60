"""Spans across a whole run, as a collector gets them: one trace from issue to sent, and nothing about people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.audit import query
from tests.e2e.run_hand import due, sheet, staffetta
from tests.servers.otlp import Collector, collector

CANARIES = ("Canarino", "CNRPDT80A01H501D", "canarino@posta.example", "7654,32", "765432", "Perduto")
ROWS = (
    ("Canarino Perduto", "CNRPDT80A01H501D", None, "7654,32", "canarino@posta.example"),
    ("Bianchi Luca", "BNCLCU80A01H501Q", None, 120, "luca.bianchi@posta.example"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Collector]]:
    """A run of two rows with registration, to its end, and what was collected of it."""
    folder = tmp_path_factory.mktemp("traced")
    with collector() as collected:
        code, said = staffetta(
            "run", sheet(folder / "rows.xlsx", ROWS), "--creditor", "c_x999", "--channel", "email", "--payment-type",
            "scuolabus", "--due-date", due().isoformat(), "--reason", "Trasporto", "--register", "--subject", "Avviso",
            "--until", "send", "--out", "out", folder=folder,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url},
        )  # fmt: skip
        assert code == 0, said
        yield folder / "out", collected


def ids(folder: Path) -> list[UUID]:
    return [UUID(str(row["record_id"])) for row in query(folder, "dispatch", "select record_id from sending")]


def traces(collected: Collector) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(collected.spans, key=lambda span: span.start_time_unix_nano):
        found[span.trace_id.hex()].append(span)
    return found


def test_each_record_is_one_trace_from_its_issue_to_what_was_sent(run: tuple[Path, Collector]) -> None:
    folder, collected = run
    records = ids(folder)
    assert len(records) == len(ROWS)
    for record in records:
        spans = traces(collected)[record.hex]
        by_id = {span.span_id: span for span in spans}
        told = {span.name: span for span in spans}
        chain = ["notice-sent", "notice-registered", "issue protocol"]
        span = told[chain[0]]
        for name in chain[1:]:
            span = by_id[span.parent_span_id]
            assert span.name == name
        assert not span.parent_span_id
        assert by_id[told["notice-rendered"].parent_span_id].name == "iuv-assigned"
        assert by_id[told["iuv-assigned"].parent_span_id].name == "issue iuv"


def test_a_batch_is_a_trace_of_its_own_from_what_was_asked(run: tuple[Path, Collector]) -> None:
    folder, collected = run
    [batch] = query(folder, "ingest", "select id from batch")
    spans = traces(collected)[UUID(str(batch["id"])).hex]
    asked = next(span for span in spans if span.name == "ask ingest.request-batch.v1")
    assert not asked.parent_span_id
    taken = [span for span in spans if span.name == "handle ingest.batches"]
    assert [span.parent_span_id for span in taken] == [asked.span_id]


def test_handfuls_are_linked_with_the_traces_of_their_messages_up_to_status(run: tuple[Path, Collector]) -> None:
    folder, collected = run
    records = {record.hex for record in ids(folder)}

    def reached(name: str) -> set[str]:
        handfuls = [span for span in collected.spans if span.name == name]
        return {link.trace_id.hex() for span in handfuls for link in span.links} | {s.trace_id.hex() for s in handfuls}

    for queue in ("iuv", "render", "protocol", "dispatch", "ingest.facts", "status"):
        assert records <= reached(f"handle {queue}"), queue


def test_acts_and_publishing_are_inside_the_handful_that_led_to_them(run: tuple[Path, Collector]) -> None:
    _, collected = run
    by_id = {span.span_id: span for span in collected.spans}
    for stage in ("iuv", "render", "protocol", "dispatch"):
        acts = [span for span in collected.spans if span.name == f"act {stage}"]
        if stage != "protocol":  # its own register is the reservation itself
            assert acts, stage
        assert {by_id[span.parent_span_id].name for span in acts} <= {f"handle {stage}"}
    inside = [
        by_id[span.parent_span_id].name for span in collected.spans if span.name == "publish" and span.parent_span_id
    ]
    assert "handle iuv" in inside


def test_nothing_about_people_is_told(run: tuple[Path, Collector]) -> None:
    folder, collected = run
    codes = [str(row["nav"]) for row in query(folder, "iuv", "select nav from iuv_ledger")]
    assert len(codes) == len(ROWS)
    for word in (*CANARIES, *codes):
        assert word.encode() not in collected.raw, word
    assert collected.services == {"staffetta"}
    assert {attribute.key for span in collected.spans for attribute in span.attributes} <= {
        f"staffetta.{name}" for name in ("batch", "issue", "messages", "queue", "records", "stage")
    }


def test_without_an_endpoint_nothing_of_it_is_imported(tmp_path: Path) -> None:
    watch = tmp_path / "sitecustomize.py"
    watch.write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: open('imported', 'w').write(str('opentelemetry.sdk' in sys.modules)))\n"
    )
    code, said = staffetta(
        "run", sheet(tmp_path / "rows.xlsx", ROWS), "--creditor", "c_x999", "--channel", "email", "--payment-type",
        "scuolabus", "--due-date", due().isoformat(), "--reason", "Trasporto", "--until", "preview", "--out", "out",
        folder=tmp_path, environment={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert code == 0, said
    assert (tmp_path / "imported").read_text() == "False"
