"""What a client and ingest say to each other, with invented people: shown in docs/asyncapi.yaml."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, ListedRecord, Message, RegisterOptions, RequestBatch
from shared.contracts.outcomes import (
    BatchOutcome,
    BatchState,
    RecordOutcome,
    RecordOutcomes,
    RecordState,
    RequestAccepted,
    RequestRefused,
)
from shared.contracts.record import Address

REQUEST = "scuolabus-2027"
BATCH = UUID("0f8fad5b-d9cb-569f-a165-70867728950e")

EXAMPLES: dict[type[Message], Message] = {
    type(each): each
    for each in (
        RequestBatch(
            request_id=REQUEST,
            creditor="c_x999",
            options=BatchOptions(
                channel=Channel.AUTO,
                payment_type="scuolabus",
                due_date=date(2027, 1, 31),
                reason="Trasporto scolastico 2026/2027",
                register_options=RegisterOptions(subject="Avviso di pagamento", classification="7.1", office="scuola"),
            ),
            records=[
                ListedRecord(
                    reference="iscrizione-1001",
                    name="Rossi Maria",
                    fiscal_code="RSSMRA85T50H501S",
                    amount_cents=8505,
                    address="maria.rossi@pec.example",
                    postal=Address(
                        street="Via Verdi", number="1", postal_code="21100", city="Borgo Esempio", province="VA"
                    ),
                )
            ],
            until=Phase.SEND,
        ),
        RequestAccepted(request_id=REQUEST, batch_id=BATCH, records=1, until=Phase.SEND),
        RequestRefused(
            request_id=REQUEST,
            code="wrong-check-character",
            record="iscrizione-1001",
            field="fiscal_code",
            detail="Il codice non è corretto (il carattere di controllo non torna): ricontrollalo sul documento.",
        ),
        RecordOutcomes(
            request_id=REQUEST,
            batch_id=BATCH,
            records=[
                RecordOutcome(
                    reference="iscrizione-1001",
                    revision=5,
                    state=RecordState.SENT,
                    notice_code="312000000000004260",
                    iuv="12000000000004260",
                    protocol_number="0000042",
                    protocol_year=2026,
                    registered_at=datetime(2026, 11, 24, 9, 0, 12, tzinfo=UTC),
                    channel=Channel.PEC,
                    sent_at=datetime(2026, 11, 24, 9, 0, 14, tzinfo=UTC),
                )
            ],
        ),
        BatchOutcome(
            request_id=REQUEST,
            batch_id=BATCH,
            state=BatchState.SENT,
            until=Phase.SEND,
            done=True,
            counts={RecordState.SENT: 1},
        ),
    )
}
