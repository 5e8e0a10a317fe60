"""The embedded relay in this process, over simulators: start it, ask it for a batch, wait for its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from deploy.embedded import Relay
from deploy.simulators.mail.simulator import MailSimulator
from deploy.simulators.pagopa import PagoPaSimulator
from services.ingest.tables import SENT, Batch
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, RegisterOptions, RequestBatch
from shared.contracts.envelope import Envelope
from shared.creditors import Creditors, load_creditors
from shared.documents import XLSX
from shared.wiring import Setup
from tests.databases import database_url
from tests.e2e.run_hand import sheet

SECONDS = 240.0


@contextmanager
def world(folder: Path) -> Iterator[tuple[Creditors, PagoPaSimulator]]:
    """The simulators, and the creditors' file that leads to them."""
    pagopa = PagoPaSimulator()
    url = pagopa.start(folder=folder / "pagopa")
    mail = MailSimulator.start(folder / "inviati")
    try:
        yield load_creditors().with_simulators(url, mail.smtp_port), pagopa
    finally:
        mail.stop()
        pagopa.stop()


class RelayAnywhere(Relay):
    """Over the databases of the tests, wherever these are."""

    def __init__(self, folder: Path, creditors: Creditors) -> None:
        self._place = folder
        super().__init__(folder, creditors)

    def _wire(self, setup: Setup) -> None:
        super()._wire(replace(setup, database_url=partial(database_url, self._place)))


@contextmanager
def relay_at(folder: Path, creditors: Creditors) -> Iterator[Relay]:
    """A relay at work on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    relay = RelayAnywhere(folder, creditors)
    try:
        relay.start()
        yield relay
    finally:
        relay.stop()


def ask(relay: Relay, folder: Path, rows: Sequence[Sequence[object]], until: Phase = Phase.SEND) -> UUID:
    """A batch of these rows, to be registered and sent; its id."""
    batch_id = uuid4()
    document = relay.documents.put(sheet(folder / f"{batch_id}.xlsx", rows).read_bytes(), XLSX)
    options = BatchOptions(
        channel=Channel.AUTO, payment_type="scuolabus", due_date=date.today() + timedelta(days=60), reason="Prova",  # noqa: DTZ011
        register_options=RegisterOptions(subject="Avviso", classification="7.1", office="scuola"),
    )  # fmt: skip
    request = RequestBatch(
        command_id=uuid4(), batch_id=batch_id, request_id=str(batch_id), client="test", creditor="c_x999",
        options=options, sheet=document, file_name="elenco.xlsx", until=until,
    )  # fmt: skip
    relay.publish([Envelope.of(request, source="status")])
    return batch_id


def ended(relay: Relay, batch_id: UUID) -> bool:
    """Whether all that was asked for was done."""
    with relay.ingest.database.read() as session:
        batch = session.get(Batch, batch_id)
        return batch is not None and batch.stated == SENT


def wait_for(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not come to its end"
        time.sleep(0.1)
