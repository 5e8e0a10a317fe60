"""Whether a client's request has the right form, and what it is answered where it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.ingest.asking import REFUSALS
from services.ingest.refusals import Refusal
from services.ingest.tracciato.findings import CONTROLS
from services.ingest.tracciato.rows import TAX_CODE
from shared.contracts.commands import BatchOptions, ListedRecord, RequestBatch
from shared.contracts.outcomes import RequestRefused

MOST_RECORDS = 1_000
SENTENCES = REFUSALS | {
    "too-many-records": f"La richiesta contiene più di {MOST_RECORDS} righe: dividila in più richieste.",
    "no-records": "La richiesta non contiene righe: indicane almeno una.",
    "sheet-not-accepted": "Da un altro sistema le righe si indicano nella richiesta: togli il riferimento al file.",
    "creditor-not-granted": "L'ente creditore indicato non è fra quelli concessi a questo sistema.",
    "payment-type-not-granted": "La tipologia di pagamento non è fra quelle concesse a questo sistema.",
    "until-not-granted": "Questo sistema non può avviare da solo questa fase: la avvia un operatore dal cruscotto.",
    "records-per-day": "Il numero di righe concesso a questo sistema per oggi è esaurito: ripeti la richiesta domani.",
    "requests-per-day": "Il numero di richieste concesso a questo sistema per oggi è esaurito: ripeti la richiesta domani.",
    "reference-repeated": "Due righe hanno lo stesso riferimento: danne uno diverso a ciascuna.",
    "reference-personal": "Il riferimento contiene un codice fiscale: usane uno che non riveli chi è il debitore.",
    "content-differs": "Una richiesta con questo identificativo è già stata presa in carico con altri dati: usa un nuovo "
    "identificativo.",
    "control-character": "Il testo contiene caratteri invisibili non ammessi: toglili.",
    "unreadable": "La richiesta non si può leggere: controlla che segua docs/asyncapi.yaml.",
    "too-large": "La richiesta è troppo grande: dividila in più richieste.",
}


class WrongRecord(Refusal):
    """One record (or, without one, a field of the request) is wrong, and so nothing of the request is taken."""

    def __init__(self, code: str, record: str, field: str, detail: str) -> None:
        super().__init__(code)
        self.record, self.field, self.detail = record, field, detail


def refused(request_id: str, refusal: Refusal) -> RequestRefused:
    """The answer to a request that is not carried out."""
    if isinstance(refusal, WrongRecord):
        return RequestRefused(
            request_id=request_id, code=refusal.code, record=refusal.record, field=refusal.field, detail=refusal.detail
        )
    return RequestRefused(request_id=request_id, code=refusal.code, detail=SENTENCES[refusal.code])


def check_form(request: RequestBatch) -> None:
    """What can be told without knowing anybody's grant. Raises `Refusal`."""
    if request.sheet is not None:
        raise Refusal("sheet-not-accepted")
    if not request.records:
        raise Refusal("no-records")
    if len(request.records) > MOST_RECORDS:
        raise Refusal("too-many-records")
    for field, text in _texts(request.options):
        if CONTROLS.search(text):
            raise WrongRecord("control-character", "", field, SENTENCES["control-character"])
    _check_references(request.records)


def _check_references(records: Sequence[ListedRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        code = "reference-personal" if TAX_CODE.search(record.reference.upper()) else "reference-repeated"
        if code == "reference-personal" or record.reference in seen:
            raise WrongRecord(
                code, "" if code == "reference-personal" else record.reference, "reference", SENTENCES[code]
            )
        seen.add(record.reference)


def _texts(options: BatchOptions) -> Iterable[tuple[str, str]]:
    """Each with the name of its field in the contract."""
    register = options.register_options
    own = {f"options.{name}": value for name, value in options.model_dump().items()}
    its = {
        f"options.register_options.{name}": value for name, value in (register.model_dump() if register else {}).items()
    }
    return ((name, value) for name, value in {**own, **its}.items() if isinstance(value, str))
