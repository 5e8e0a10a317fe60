"""*Indirizzo, Civico, Cap, Comune, Provincia*: printed where given, each of them optional."""

from __future__ import annotations

from typing import Final

from services.ingest.tracciato.findings import Findings
from services.ingest.tracciato.headings import CITY, NUMBER, POSTAL_CODE, PROVINCE, STREET
from shared.contracts.record import Address
from shared.printing import address_lines, address_problem

PRINTED_LIMIT: Final = 140
ABROAD: Final = "EE"


def _province(findings: Findings) -> str:
    text = findings.text(PROVINCE, PRINTED_LIMIT).strip("() ").upper()
    if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
        findings.problem(PROVINCE, "wrong-province")
    return text


def _postal_code(findings: Findings, province: str) -> str:
    before = len(findings.problems)
    cell = findings.cell(POSTAL_CODE)
    if cell is None or len(findings.problems) > before:
        return ""
    text = cell.text.upper()
    if text.isdecimal() and len(text) < 5 and (cell.kind == "number" or province != ABROAD):
        findings.problem(POSTAL_CODE, "leading-zeros-lost", text.zfill(5), digits=5)
    elif (
        len(text) > 16
        or cell.kind not in {"text", "number"}
        or (text.isdecimal() and len(text) > 5 and province != ABROAD)
    ):
        findings.problem(POSTAL_CODE, "wrong-postal-code")
    return text


def read_postal(findings: Findings) -> Address:
    """The address as far as it is given; it fits on the notice, or a problem was told."""
    before = len(findings.problems)
    province = _province(findings)
    address = Address(
        street=findings.text(STREET, PRINTED_LIMIT),
        number=findings.text(NUMBER, PRINTED_LIMIT),
        postal_code=_postal_code(findings, province),
        city=findings.text(CITY, PRINTED_LIMIT),
        province=province,
    )
    lines = address_lines(address)
    if lines and len(findings.problems) == before:
        if sum(map(len, lines)) > PRINTED_LIMIT:
            findings.problem(STREET, "too-long", limit=PRINTED_LIMIT)
        elif code := address_problem(address):
            findings.problem(STREET, code)
    return address
