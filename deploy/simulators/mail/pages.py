"""The HTTP side: what was sent, for people to look at, and the faults, for tests and demonstrations to switch."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Any, cast
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse

from deploy.simulators.local import LocalOnly
from deploy.simulators.mail.archive import Archive, Kept
from deploy.simulators.mail.faults import Fault, Faults

PER_PAGE = 50
ROME = ZoneInfo("Europe/Rome")
STYLE = """
body { font-family: system-ui, sans-serif; line-height: 1.5; margin: 0 auto; max-width: 80rem; padding: 0 1rem 3rem; }
.prova { background: #7a0019; color: #fff; font-weight: 700; margin: 0 -1rem; padding: .5rem 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { font-weight: 600; padding: .5rem 0; text-align: left; }
th, td { border-bottom: 1px solid #767676; padding: .5rem .75rem .5rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
"""


def build(archive: Archive, faults: Faults) -> FastAPI:
    """The application. It holds addresses and messages: it is served on 127.0.0.1 only."""
    app = FastAPI(title="Simulatore di posta", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(LocalOnly)
    app.include_router(_messages(archive))
    app.include_router(_faults(faults))
    return app


def _messages(archive: Archive) -> APIRouter:
    app = APIRouter()

    @app.get("/", response_class=HTMLResponse)
    def sent(page: int = 1) -> str:
        return _list(archive, max(page, 1))

    @app.get("/messages/{file}")
    def raw(file: str) -> Response:
        return Response(_content(archive, file), media_type="message/rfc822", headers=_download(file))

    @app.get("/messages/{file}/{number}")
    def attachment(file: str, number: int) -> Response:
        found = list(_parsed(_content(archive, file)).iter_attachments())
        if not 0 <= number < len(found):
            raise HTTPException(404, "Il messaggio non ha questo allegato.")
        body = cast(bytes, found[number].get_payload(decode=True))
        # Whatever a message claims to be, a browser is told PDF or bytes: nothing that it would run.
        kind = "application/pdf" if body.startswith(b"%PDF-") else "application/octet-stream"
        return Response(body, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})

    @app.get("/journal")
    def journal() -> list[dict[str, Any]]:
        return archive.journal()

    return app


def _faults(faults: Faults) -> APIRouter:
    app = APIRouter()

    @app.get("/faults")
    def standing() -> list[Fault]:
        return faults.standing()

    @app.post("/faults", status_code=204)
    def switch_on(fault: Fault) -> None:
        faults.switch_on(fault)

    @app.delete("/faults", status_code=204)
    def clear() -> None:
        faults.clear()

    return app


def _content(archive: Archive, file: str) -> bytes:
    try:
        return archive.read(file)
    except FileNotFoundError as missing:
        raise HTTPException(404, "Il messaggio non c'è.") from missing


def _download(file: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{file}"', "X-Content-Type-Options": "nosniff"}


def _parsed(content: bytes) -> EmailMessage:
    return message_from_bytes(content, _class=EmailMessage, policy=SMTP)


def _list(archive: Archive, page: int) -> str:
    every = archive.kept()
    shown = every[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = "\n".join(_row(kept, _parsed(archive.read(kept.file))) for kept in shown)
    table = (
        f"<table><caption>Messaggi ricevuti: {len(every)}</caption>\n<thead><tr>"
        + "".join(f'<th scope="col">{name}</th>' for name in ("Data", "Da", "A", "Oggetto", "Allegati", "Messaggio"))
        + f"</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    )
    empty = "<p>Nessun messaggio: quando Staffetta ne invia uno, lo si vede qui. Ricaricare la pagina.</p>"
    return (
        f'<!DOCTYPE html>\n<html lang="it"><head><meta charset="utf-8"><title>SIMULATORE di posta</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        '<p class="prova">SIMULATORE: nessuno di questi messaggi è stato recapitato a qualcuno.</p>\n'
        f"<main><h1>Posta inviata</h1>\n{table if shown else empty}\n{_pager(page, len(every))}</main></body></html>\n"
    )


def _row(kept: Kept, message: EmailMessage) -> str:
    link = f"/messages/{kept.file}"
    attached = "<br>".join(
        f'<a href="{link}/{number}">{escape(part.get_filename() or "senza nome")}</a>'
        for number, part in enumerate(message.iter_attachments())
    )
    cells = [
        f"{kept.at.astimezone(ROME):%d/%m/%Y %H:%M:%S}",
        *(escape(str(message.get(name, ""))) for name in ("From", "To", "Subject")),
        attached,
        f'<a href="{link}">{escape(kept.file)}</a>',
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _pager(page: int, count: int) -> str:
    def links() -> Iterator[str]:
        if page > 1:
            yield f'<a href="/?page={page - 1}">Più recenti</a>'
        if page * PER_PAGE < count:
            yield f'<a href="/?page={page + 1}">Meno recenti</a>'

    found = " · ".join(links())
    return f'<nav aria-label="Pagine">{found}</nav>\n' if found else ""
