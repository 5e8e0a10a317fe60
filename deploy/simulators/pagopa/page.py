"""The page of what the simulator holds, for the person who rehearses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from deploy.simulators.pagopa.book import Position
from deploy.simulators.pagopa.faults import Fault

ROWS = 200
ROME = ZoneInfo("Europe/Rome")
STATUSES = {
    "DRAFT": "Bozza", "PUBLISHED": "Pubblicata", "VALID": "Pagabile", "INVALID": "Ritirata", "EXPIRED": "Scaduta",
    "PARTIALLY_PAID": "Pagata in parte", "PAID": "Pagata", "REPORTED": "Rendicontata",
}  # fmt: skip
STYLE = """
body{font-family:system-ui,sans-serif;margin:2rem;color:#1a1a1a}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ccc;padding:.4rem .6rem;text-align:left}td.n{text-align:right}
.prova{background:#fff3c4;border:1px solid #b58900;padding:.6rem 1rem;font-weight:600}code{white-space:nowrap}
"""


def page(positions: Sequence[Position], number: int, faults: Sequence[Fault]) -> str:
    """The newest positions first, 200 a page."""
    pages = max(1, -(-len(positions) // ROWS))
    newest = list(reversed(positions))[(number - 1) * ROWS : number * ROWS]
    counts = Counter(STATUSES[each["status"]] for each in positions)
    summary = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "nessuna posizione, per ora"
    waiting = ", ".join(f"{fault.kind} × {fault.calls}" for fault in faults)
    links = " ".join(f'<a href="/?pagina={each}">{each}</a>' for each in range(1, pages + 1)) if pages > 1 else ""
    return f"""<!doctype html><html lang="it"><meta charset="utf-8"><title>SIMULATORE pagoPA</title><style>{STYLE}</style>
<h1>SIMULATORE pagoPA</h1>
<p class="prova">AMBIENTE DI PROVA: queste posizioni debitorie non esistono per pagoPA e nessuno può pagarle.</p>
<p>Posizioni: {len(positions)} ({escape(summary)})</p>{f"<p>Guasti in attesa: {escape(waiting)}</p>" if waiting else ""}
<table><thead><tr><th>Codice avviso<th>Debitore<th>Causale<th>Importo<th>Scadenza<th>Stato<th>Identificativo (IUPD)</thead>
<tbody>{"".join(_row(position) for position in newest)}</tbody></table><p>{links}</p></html>"""


def _row(position: Position) -> str:
    return "".join(
        f"<tr><td><code>{escape(_grouped(option['nav']))}</code><td>{escape(position['fullName'])}"
        f"<td>{escape(option['description'])}<td class='n'>{_euro(option['amount'])}<td>{_day(option['dueDate'])}"
        f"<td>{STATUSES[position['status']]}<td><code>{escape(position['iupd'])}</code>"
        for option in position["paymentOption"]
    )


def _grouped(nav: str) -> str:
    return " ".join(nav[start : start + 4] for start in range(0, len(nav), 4))


def _euro(cents: int) -> str:
    euros = f"{cents // 100:,}".replace(",", ".")
    return f"{euros},{cents % 100:02d} €"


def _day(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(ROME):%d/%m/%Y}"
