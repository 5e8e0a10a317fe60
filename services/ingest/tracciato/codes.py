"""*CodiceFiscale* and *PartitaIva*: who the debtor is. Check characters and omocodia by python-stdnum."""

from __future__ import annotations

from typing import Final

from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError
from stdnum.it import codicefiscale, iva

from services.ingest.tracciato.findings import Findings
from services.ingest.tracciato.headings import FISCAL_CODE, VAT_CODE

EXPECTED: Final = {FISCAL_CODE: "16 caratteri (11 cifre per enti e società)", VAT_CODE: "11 cifre"}


def _is_vat(text: str) -> bool:
    return text.isdecimal() and bool(iva.is_valid(text))


def _numeric(findings: Findings, column: str, text: str) -> str:
    """A code that the cell holds as a number, so that zeros at its start are gone."""
    if len(text) == 11 and _is_vat(text):
        return text
    padded = text.zfill(11)
    if len(text) < 11 and _is_vat(padded):
        findings.problem(column, "leading-zeros-lost", padded, digits=11)
    elif len(text) == 11 and text.isdecimal():
        findings.problem(column, "wrong-check-character")
    else:
        findings.problem(column, "wrong-code-length", expected=EXPECTED[column])
    return ""


def _read(findings: Findings, column: str) -> str:
    cell = findings.cell(column)
    if cell is None:
        return ""
    if cell.kind == "number":
        return _numeric(findings, column, cell.text)
    vat = column == VAT_CODE
    text: str = (iva if vat else codicefiscale).compact(cell.text)
    if not text.isascii():
        findings.problem(column, "malformed-code")
        return ""
    if vat and len(text) == 16 and codicefiscale.is_valid(text):
        findings.problem(column, "code-in-wrong-column")
        return ""
    try:
        return str((iva if vat else codicefiscale).validate(text))
    except InvalidChecksum:
        findings.problem(column, "wrong-check-character")
    except ValidationError as wrong:
        _malformed(findings, column, text, short=isinstance(wrong, InvalidLength))
    return ""


def _malformed(findings: Findings, column: str, text: str, *, short: bool) -> None:
    padded = text.zfill(11)
    if len(text) < 11 and _is_vat(padded):
        findings.problem(column, "leading-zeros-lost", padded, digits=11)
    elif short or (column == VAT_CODE and text.isdecimal() and len(text) != 11):
        findings.problem(column, "wrong-code-length", expected=EXPECTED[column])
    else:
        findings.problem(column, "malformed-code")


def debtor_codes(findings: Findings) -> tuple[str, str]:
    """(code that identifies the debtor, VAT code): the codice fiscale, where both are given. Empty: a problem was told."""
    before = len(findings.problems)
    fiscal, vat = _read(findings, FISCAL_CODE), _read(findings, VAT_CODE)
    if not fiscal and not vat and len(findings.problems) == before:
        findings.problem(FISCAL_CODE if FISCAL_CODE in findings.headings.columns else VAT_CODE, "missing-code")
    return fiscal or vat, vat
