"""What codes, stages and facts are called in Italian, for the API's `message`s and for the pages.

A code without an entry is told as it is, next to a sentence that says whom to ask: stages may grow codes before this
table does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from services.status.fold.batch_state import BatchState
from services.status.model import State
from shared.contracts.base import Channel, Phase, StageName

ROME = ZoneInfo("Europe/Rome")
WEEKDAYS = ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica")

STAGE_TITLES: Mapping[str, str] = {
    StageName.IUV: "Avviso su pagoPA",
    StageName.RENDER: "Stampa dell'avviso",
    StageName.PROTOCOL: "Protocollo",
    StageName.DISPATCH: "Invio",
}
OUTSIDE: Mapping[str, str] = {
    StageName.IUV: "pagoPA non risponde",
    StageName.RENDER: "la produzione dei documenti è ferma",
    StageName.PROTOCOL: "il protocollo non risponde",
    StageName.DISPATCH: "la casella di posta non risponde",
}
REFUSED: Mapping[str, str] = {
    "pagopa-key-refused": "pagoPA non accetta la chiave di accesso dell'ente",
    "pagopa-key-not-allowed": "la chiave di accesso a pagoPA non vale per questo ente",
    "mailbox-login-refused": "la casella di posta rifiuta nome utente o password",
}
"""Why a lane is closed, where somebody has to do something about it."""
CHANNEL_TITLES: Mapping[str, str] = {Channel.PEC: "PEC", Channel.EMAIL: "E-mail", Channel.AUTO: "In base all'indirizzo"}
PHASE_TITLES: Mapping[str, str] = {Phase.PREVIEW: "Anteprima", Phase.GENERATE: "Generazione", Phase.SEND: "Invio"}

BATCH_TITLES: Mapping[BatchState, str] = {
    BatchState.PENDING: "In lettura",
    BatchState.REFUSED: "Rifiutato",
    BatchState.PREVIEW: "In anteprima",
    BatchState.GENERATING: "Generazione in corso",
    BatchState.GENERATED: "Avvisi generati",
    BatchState.SENDING: "Invio in corso",
    BatchState.SENT: "Inviato",
    BatchState.SETTLED: "Concluso",
    BatchState.PAUSED: "In pausa",
    BatchState.CANCELLED: "Interrotto",
}

STATE_HELP: Mapping[State, str] = {
    State.TO_CORRECT: "Un dato non va bene. Correggerlo nel foglio, o con «Correggi e rimanda» se l'avviso era già in lavorazione.",
    State.READY: "La riga è corretta e aspetta il suo turno.",
    State.GENERATED: "L'avviso è aperto su pagoPA e i documenti sono pronti. Non è ancora partito nulla.",
    State.REGISTERED: "L'avviso ha il numero di protocollo in uscita e aspetta l'invio.",
    State.SENT: "Il server di posta ha preso in carico il messaggio.",
    State.ACCEPTED: "Il gestore PEC ha accettato il messaggio.",
    State.DELIVERED: "Il messaggio è nella casella del destinatario.",
    State.LATE: "La ricevuta di consegna tarda: di solito arriva da sola.",
    State.NOT_DELIVERED: "Il messaggio non è arrivato. Correggere l'indirizzo e rimandare, o consegnare a mano.",
    State.TO_VERIFY: "Non si sa se il messaggio è partito. Guardare nella posta inviata e dire com'è andata.",
    State.BY_HAND: "Non c'è un indirizzo: stampare l'avviso e consegnarlo.",
    State.STUCK: "Il programma si è fermato su questo avviso. La causa dice che cosa fare; poi «Riprova».",
    State.CANCELLED: "L'avviso è stato ritirato, o non è mai stato generato perché l'invio è stato interrotto.",
    State.PAID: "Il pagamento risulta fatto.",
    State.EXPIRED: "La scadenza è passata senza un pagamento.",
}

CODES: Mapping[str, str] = {
    # iuv
    "due-date-past": "La scadenza è già passata: correggere la data e generare di nuovo l'avviso.",
    "pagopa-rejected": "pagoPA ha rifiutato i dati dell'avviso: controllare il debitore e l'importo.",
    "pagopa-no-answer": "pagoPA non ha risposto in tempo.",
    "pagopa-unreachable": "pagoPA non è raggiungibile.",
    "pagopa-unreadable": "pagoPA ha risposto in modo non comprensibile.",
    "pagopa-too-many-calls": "pagoPA chiede di rallentare: si riprova da solo.",
    "pagopa-conflict": "pagoPA sta già lavorando su questo avviso: si riprova da solo.",
    "pagopa-key-refused": "pagoPA non accetta la chiave di accesso dell'ente: avvisare chi gestisce il servizio.",
    "pagopa-key-not-allowed": "La chiave di accesso a pagoPA non vale per questo ente: avvisare chi gestisce il servizio.",
    "already-paid": "L'avviso risulta già pagato: non si può ritirare.",
    "iuv-range-exhausted": "I numeri di avviso dell'ente sono finiti: avvisare chi gestisce il servizio.",
    "position-differs": "Su pagoPA c'è un avviso con lo stesso numero e dati diversi: avvisare chi gestisce il servizio.",
    # render
    "unprintable-character": "Un testo ha caratteri che l'avviso non può stampare: riscriverlo in lettere latine.",
    "does-not-fit": "Un testo è troppo lungo per l'avviso: abbreviarlo.",
    "letter-template-unsafe": "Il modello di lettera usa qualcosa che non è permesso: correggere il modello.",
    "letter-template-broken": "Il modello di lettera ha un errore: correggere il modello.",
    "letter-variable-missing": "Al modello di lettera manca un dato: compilare la colonna nel foglio.",
    # protocol
    "clock-behind-register": "L'orologio del sistema è indietro rispetto al registro: avvisare chi gestisce il servizio.",
    "registration-not-uncertain": "La registrazione non è più da verificare.",
    # dispatch
    "recipient-refused": "Il server ha rifiutato l'indirizzo del destinatario: correggerlo e rimandare.",
    "recipient-deferred": "La casella del destinatario per ora non accetta messaggi: si riprova da solo.",
    "message-refused": "Il server ha rifiutato il messaggio.",
    "message-deferred": "Il server per ora non accetta il messaggio: si riprova da solo.",
    "address-unusable": "L'indirizzo non è utilizzabile: correggerlo e rimandare.",
    "sender-refused": "Il server non accetta il mittente: avvisare chi gestisce il servizio.",
    "mailbox-unreachable": "La casella di posta dell'ente non è raggiungibile.",
    "mailbox-unavailable": "La casella di posta dell'ente per ora non accetta messaggi.",
    "mailbox-login-refused": "La casella di posta rifiuta nome utente o password: avvisare chi gestisce il servizio.",
    "mailbox-not-configured": "Per questo canale non c'è una casella di posta: avvisare chi gestisce il servizio.",
    "mailbox-busy": "La casella di posta è occupata: si riprova da solo.",
    "no-answer-after-data": "Il server di posta non ha confermato: il messaggio può essere partito o no.",
    "interrupted": "L'invio è stato interrotto: il messaggio può essere partito o no.",
    "settled-not-sent": "Una persona ha verificato che il messaggio non è partito.",
    # every stage
    "message-lost": "La lavorazione non ha dato risposta più volte: avvisare chi gestisce il servizio, poi «Riprova».",
    "kills-worker": "Questo avviso ha fatto cadere il programma più volte: avvisare chi gestisce il servizio.",
    "lane-closed": "Il sistema esterno non risponde: si riprende da solo.",
    "limiter": "Si va al passo che il sistema esterno accetta.",
}

KINDS: Mapping[str, str] = {
    "batch-ingested": "Foglio letto e controllato",
    "batch-allowed": "Fase autorizzata",
    "batch-paused": "Messo in pausa",
    "batch-resumed": "Ripreso",
    "batch-cancelled": "Interrotto",
    "batch-generated": "Avvisi generati",
    "batch-sent": "Ultimo messaggio partito",
    "batch-settled": "Concluso",
    "command-taken": "Richiesta eseguita",
    "command-refused": "Richiesta rifiutata",
    "record-accepted": "Riga letta: dati corretti",
    "record-rejected": "Riga letta: da correggere",
    "record-parked": "Fermo: serve un intervento",
    "stage-failed": "Tentativo non riuscito",
    "stage-deferred": "Rimandato",
    "iuv-assigned": "Avviso aperto e pubblicato su pagoPA",
    "iuv-refused": "pagoPA ha rifiutato l'avviso",
    "position-withdrawn": "Avviso ritirato da pagoPA",
    "notice-rendered": "Avviso e lettera prodotti",
    "render-refused": "I documenti non si possono produrre",
    "notice-registered": "Registrato al protocollo in uscita",
    "registration-refused": "Il protocollo ha rifiutato la registrazione",
    "registration-uncertain": "Registrazione da verificare",
    "notice-sent": "Messaggio consegnato al server di posta",
    "sending-refused": "Il server di posta ha rifiutato il messaggio",
    "sending-uncertain": "Invio da verificare",
}

COMMANDS: Mapping[str, str] = {
    "request-batch": "Lettura del foglio",
    "generate-notices": "Genera avvisi PagoPA",
    "send-notices": "Esegui invio massivo",
    "pause-batch": "Pausa",
    "resume-batch": "Ripresa",
    "cancel-batch": "Interruzione",
    "retry-records": "Nuovo tentativo",
    "correct-record": "Correggi e rimanda",
    "settle-registration": "Verifica della registrazione",
    "settle-sending": "Verifica dell'invio",
    "restate": "Riallineamento",
}


def explained(code: str, detail: str = "") -> str:
    """The sentence for a cause: the stage's own where it gave one."""
    if detail or not code:
        return detail
    return CODES.get(code, f"Causa tecnica «{code}»: avvisare chi gestisce il servizio.")


def clock(moment: datetime) -> str:
    """A time of day in Italy, `10:42`."""
    return f"{moment.astimezone(ROME):%H:%M}"


def lane_message(stage: str, code: str, since: datetime) -> str:
    """`in attesa: pagoPA non risponde dalle 10:42`; and whom to call, where it does not mend itself."""
    if code in REFUSED:
        return f"in attesa: {REFUSED[code]} dalle {clock(since)}; avvisare chi gestisce il servizio"
    return f"in attesa: {OUTSIDE.get(stage, 'un sistema esterno non risponde')} dalle {clock(since)}"


def resting_message(channel: str, until: datetime) -> str:
    """Why a mailbox sends nothing at this hour, and when it goes on."""
    local, box = until.astimezone(ROME), CHANNEL_TITLES.get(channel, channel)
    day = f"{WEEKDAYS[local.weekday()]} {local:%d/%m}"
    return f"in attesa: la casella {box} è fuori dall'orario di invio; si riprende alle {clock(until)} di {day}"
