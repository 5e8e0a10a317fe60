"""The rules of each column, and that no problem hides another."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.it import codicefiscale, iva

from deploy.examples.make_scuolabus import firm_code, tax_code
from services.ingest.tracciato import resolve_channel, to_record
from services.ingest.tracciato.mail import likely_domain, valid_address
from shared.contracts.base import Channel
from shared.ids import record_id
from tests.sheets import GOOD, a_sheet, check, check_one, codes, registering, warned

BATCH = UUID("0191e0c0-0000-7000-8000-000000000001")
OMOCODIA = "RSSMRA85T50H50MK"
FIRM = "00123450587"
CLUB = firm_code(9_000_001)


def test_a_good_row_becomes_a_record_under_the_number_that_excel_shows(tmp_path: Path) -> None:
    row = check_one(
        tmp_path, {"Alunno": "Emma"}, letter_columns=["Alunno"], letter="lettera", register_options=registering()
    )
    record = to_record(row, BATCH, "c_x999", "lettera")
    assert record.id == record_id(BATCH, 2)
    assert (record.row, record.creditor, record.letter, record.columns) == (2, "c_x999", "lettera", {"Alunno": "Emma"})
    assert (record.debtor.name, record.debtor.fiscal_code, record.debtor.kind) == (
        "Rossi Maria",
        GOOD["CodiceFiscale"],
        "F",
    )
    assert (record.payment.amount_cents, record.payment.reason) == (8505, "Trasporto scolastico 2026/2027")
    assert (record.delivery.channel, record.delivery.address) == (Channel.PEC, GOOD["IndirizzoPec"])
    assert record.protocol is not None
    assert (record.protocol.subject, record.protocol.classification) == ("Avviso di pagamento", "7.1")


def test_all_problems_of_a_row_are_told_at_once(tmp_path: Path) -> None:
    bad = {
        "Intestazione": "", "CodiceFiscale": "RSSMRA85T50H501X", "PartitaIva": "123", "Importo": "1.234",
        "IndirizzoPec": "a@b@c", "Cap": "99", "Provincia": "Varese", "TipoSpedizione": "piccione",
        "CausaleBollettino": "x" * 141,
    }  # fmt: skip
    row = check_one(tmp_path, bad)
    assert not row.accepted
    assert dict(codes(row)) == {
        "Intestazione": "missing-value", "CodiceFiscale": "wrong-check-character", "PartitaIva": "wrong-code-length",
        "Importo": "ambiguous-amount", "IndirizzoPec": "malformed-address", "Cap": "leading-zeros-lost",
        "Provincia": "wrong-province", "TipoSpedizione": "unknown-channel", "CausaleBollettino": "too-long",
    }  # fmt: skip
    assert row.cells == {name: value for name, value in bad.items() if value}
    assert all(problem.row == 2 and problem.message.endswith(".") for problem in row.problems)


@pytest.mark.parametrize(
    ("cells", "identifies", "vat"),
    [
        ({"CodiceFiscale": "rssmra85t50h501s"}, "RSSMRA85T50H501S", ""),
        ({"CodiceFiscale": " RSS MRA 85T50 H501S\u00a0"}, "RSSMRA85T50H501S", ""),
        ({"CodiceFiscale": "RSSMRA\u200b85T50H501S"}, "RSSMRA85T50H501S", ""),
        ({"CodiceFiscale": OMOCODIA}, OMOCODIA, ""),
        ({"CodiceFiscale": FIRM}, FIRM, ""),
        ({"CodiceFiscale": int(CLUB)}, CLUB, ""),
        ({"CodiceFiscale": None, "PartitaIva": FIRM}, FIRM, FIRM),
        ({"CodiceFiscale": None, "PartitaIva": f"IT {FIRM}"}, FIRM, FIRM),
        ({"PartitaIva": FIRM}, "RSSMRA85T50H501S", FIRM),
    ],
)
def test_the_codice_fiscale_identifies_where_both_are_given(
    tmp_path: Path, cells: dict[str, Any], identifies: str, vat: str
) -> None:
    row = check_one(tmp_path, cells)
    assert row.draft, codes(row)
    assert (row.draft.debtor.fiscal_code, row.draft.debtor.vat_code) == (identifies, vat)


@pytest.mark.parametrize(
    ("cells", "problem", "proposal"),
    [
        ({"CodiceFiscale": None}, ("CodiceFiscale", "missing-code"), ""),
        ({"CodiceFiscale": int(FIRM)}, ("CodiceFiscale", "leading-zeros-lost"), FIRM),
        ({"CodiceFiscale": None, "PartitaIva": int(FIRM)}, ("PartitaIva", "leading-zeros-lost"), FIRM),
        ({"CodiceFiscale": None, "PartitaIva": FIRM.lstrip("0")}, ("PartitaIva", "leading-zeros-lost"), FIRM),
        ({"CodiceFiscale": 12345}, ("CodiceFiscale", "wrong-code-length"), ""),
        ({"CodiceFiscale": 12345678901}, ("CodiceFiscale", "wrong-check-character"), ""),
        ({"CodiceFiscale": "RSSMRA85T50H501"}, ("CodiceFiscale", "wrong-code-length"), ""),
        ({"CodiceFiscale": "RSSMRA85T90H501S"}, ("CodiceFiscale", "wrong-check-character"), ""),
        ({"CodiceFiscale": "RSSMRA85T50H5015"}, ("CodiceFiscale", "malformed-code"), ""),
        ({"PartitaIva": "RSSMRA85T50H501S"}, ("PartitaIva", "code-in-wrong-column"), ""),
        ({"PartitaIva": "00123450588"}, ("PartitaIva", "wrong-check-character"), ""),
    ],
)
def test_a_wrong_code_says_what_is_wrong_and_proposes(
    tmp_path: Path, cells: dict[str, Any], problem: Any, proposal: str
) -> None:
    row = check_one(tmp_path, cells)
    assert codes(row) == [problem]
    assert row.problems[0].proposal == proposal


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=1_300_000), st.integers(min_value=0, max_value=15))
def test_no_tax_code_with_one_digit_changed_passes(serial: int, place: int) -> None:
    good = tax_code("Rossi", "Maria", serial)
    assert codicefiscale.is_valid(good)
    if good[place].isdigit():
        for other in "0123456789":
            changed = f"{good[:place]}{other}{good[place + 1 :]}"
            assert changed == good or not codicefiscale.is_valid(changed)
    assert iva.is_valid(firm_code(serial + 1))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("  mailto:Maria.Rossi@PEC.Esempio.example ", "Maria.Rossi@pec.esempio.example"),
        ("MAILTO:a@x.example", "a@x.example"),
        ("o'hara+scuola@x.example", "o'hara+scuola@x.example"),
        ("a@x.example\u200b", "a@x.example"),
        ("a@città.example", "a@xn--citt-3na.example"),
    ],
)
def test_an_address_is_trimmed_and_normalised(tmp_path: Path, text: str, address: str) -> None:
    row = check_one(tmp_path, {"IndirizzoPec": text})
    assert row.draft, codes(row)
    assert row.draft.delivery.address == address


@pytest.mark.parametrize(
    ("text", "code", "proposal"),
    [
        ("a@x.example; b@y.example", "two-addresses", "a@x.example"),
        ("a@x.example,b@y.example", "two-addresses", "a@x.example"),
        ("a@x.example b@y.example", "two-addresses", "a@x.example"),
        ("Maria <a@x.example>", "malformed-address", "a@x.example"),
        ("a@x.example\nBcc: b@y.example", "two-addresses", "a@x.example"),
        ("a.x.example", "malformed-address", ""),
        ("a@localhost", "malformed-address", ""),
        ("a@x.test", "malformed-address", ""),
        ("è@x.example", "malformed-address", ""),
        ("a..b@x.example", "malformed-address", ""),
        ("a@[127.0.0.1]", "malformed-address", ""),
        (f"{'a' * 65}@x.example", "malformed-address", ""),
        ("a" * 400, "too-long", ""),
    ],
)
def test_a_wrong_address_is_refused_with_what_might_be_meant(
    tmp_path: Path, text: str, code: str, proposal: str
) -> None:
    row = check_one(tmp_path, {"IndirizzoPec": text})
    assert codes(row) == [("IndirizzoPec", code)]
    assert row.problems[0].proposal == proposal


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9._-]{1,20}@[a-z0-9.-]{1,20}", fullmatch=True))
def test_the_short_way_agrees_with_email_validator(text: str) -> None:
    try:
        expected = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True).ascii_email or ""
    except EmailNotValidError:
        expected = ""
    assert valid_address(text) == expected


def test_an_empty_address_is_a_warning_and_the_notice_is_made(tmp_path: Path) -> None:
    row = check_one(tmp_path, {"IndirizzoPec": "\u00a0 "})
    assert row.draft
    assert (row.draft.delivery.address, warned(row)) == ("", ["no-address"])


@pytest.mark.parametrize(
    ("text", "channel"),
    [("PEC", Channel.PEC), ("e-mail", Channel.EMAIL), ("E MAIL", Channel.EMAIL), ("In base all'indirizzo", Channel.PEC), (None, Channel.EMAIL)],
)  # fmt: skip
def test_the_row_s_own_channel_wins(tmp_path: Path, text: str | None, channel: Channel) -> None:
    row = check_one(tmp_path, {"TipoSpedizione": text}, channel=Channel.EMAIL)
    assert row.draft
    assert row.draft.delivery.channel is channel


@pytest.mark.parametrize(
    ("address", "channel"),
    [
        ("a@pec.it", Channel.PEC), ("a@studio.legalmail.it", Channel.PEC), ("a@pec.comune.example", Channel.PEC),
        ("a@cert.comune.example", Channel.PEC), ("a@ordineavvocatipec.example", Channel.PEC), ("a@gmail.com", Channel.EMAIL),
        ("a@specchio.example", Channel.EMAIL), ("a@ditta.example", Channel.EMAIL), ("", Channel.AUTO),
    ],
)  # fmt: skip
def test_by_address_the_domain_decides(address: str, channel: Channel) -> None:
    assert resolve_channel(address, Channel.AUTO) is channel


@pytest.mark.parametrize(
    ("domain", "meant"),
    [("gmial.com", "gmail.com"), ("gmail.it", "gmail.com"), ("hotmai.it", "hotmail.it"), ("liberoo.it", "libero.it"),
     ("arubapce.it", "arubapec.it"), ("mail.com", ""), ("gmail.com", ""), ("ditta.example", ""), ("", "")],
)  # fmt: skip
def test_a_near_miss_of_a_known_domain_is_seen(domain: str, meant: str) -> None:
    assert likely_domain(domain) == meant


@pytest.mark.parametrize(
    ("cells", "problem", "proposal"),
    [
        ({"Intestazione": "x" * 71}, ("Intestazione", "too-long"), ""),
        ({"Intestazione": "Rossi 🚌"}, ("Intestazione", "unprintable-character"), ""),
        ({"Intestazione": "Rossi\u202eairaM"}, ("Intestazione", "control-character"), ""),
        ({"Intestazione": datetime(2026, 1, 2)}, ("Intestazione", "date-in-text"), ""),  # noqa: DTZ001
        ({"CausaleBollettino": " ".join(["W" * 19] * 7)}, ("CausaleBollettino", "does-not-fit"), ""),
        ({"CausaleBollettino": "Scuolabus 🚌"}, ("CausaleBollettino", "unprintable-character"), ""),
        ({"Civico": datetime(2026, 5, 3)}, ("Civico", "date-in-text"), ""),  # noqa: DTZ001
        ({"Cap": 184}, ("Cap", "leading-zeros-lost"), "00184"),
        ({"Cap": "123456"}, ("Cap", "wrong-postal-code"), ""),
        ({"Provincia": "V4"}, ("Provincia", "wrong-province"), ""),
        ({"Indirizzo": "Via " + "W" * 130}, ("Indirizzo", "does-not-fit"), ""),
        ({"Indirizzo": "i" * 100, "Comune": "i" * 60}, ("Indirizzo", "too-long"), ""),
        ({"Alunno": "Emma 🚌"}, ("Alunno", "unprintable-character"), ""),
        ({"Alunno": 1234567890123456789}, ("Alunno", "digits-lost"), ""),
        ({"Alunno": "#N/A"}, ("Alunno", "error-cell"), ""),
    ],
)
def test_what_cannot_be_printed_never_becomes_a_debt(
    tmp_path: Path, cells: dict[str, Any], problem: Any, proposal: str
) -> None:
    row = check_one(tmp_path, {"Alunno": "Emma", **cells}, letter_columns=["Alunno"], letter="lettera")
    assert codes(row) == [problem]
    assert row.problems[0].proposal == proposal


def test_the_address_is_read_and_a_swiss_postal_code_is_one(tmp_path: Path) -> None:
    row = check_one(
        tmp_path, {"Indirizzo": "Via Roma", "Civico": 12, "Cap": "6900", "Comune": "Lugano", "Provincia": "ee"}
    )
    assert row.draft, codes(row)
    assert row.draft.debtor.address.model_dump() == {
        "street": "Via Roma", "number": "12", "postal_code": "6900", "city": "Lugano", "province": "EE",
    }  # fmt: skip


def test_the_row_s_reason_and_subject_win_over_the_batch_s(tmp_path: Path) -> None:
    cells = {"CausaleBollettino": "Gita\nscolastica", "OggettoProt": "Gita"}
    row = check_one(tmp_path, cells, register_options=registering())
    assert row.draft
    assert row.draft.protocol
    assert (row.draft.payment.reason, row.draft.protocol.subject) == ("Gita scolastica", "Gita")
    unregistered = check_one(tmp_path, cells)
    assert unregistered.draft
    assert unregistered.draft.protocol is None


def test_where_neither_row_nor_batch_gives_a_reason_or_subject_the_row_says_so(tmp_path: Path) -> None:
    rows = [{**GOOD, "CausaleBollettino": "Gita", "OggettoProt": "Gita"}, GOOD]
    found = check(
        a_sheet(tmp_path / "a.xlsx", rows, [*GOOD, "CausaleBollettino", "OggettoProt"]),
        reason="", register_options=registering(subject=""),
    )  # fmt: skip
    assert [row.accepted for row in found] == [True, False]
    assert codes(found[1]) == [("OggettoProt", "missing-value"), ("CausaleBollettino", "missing-value")]


def test_letter_columns_keep_numbers_dates_and_standard_columns_as_shown(tmp_path: Path) -> None:
    cells = {"Quota": 12.5, "Dal": datetime(2026, 9, 14), "Comune": "Borgo"}  # noqa: DTZ001
    row = check_one(tmp_path, cells, letter_columns=["Quota", "Dal", "Comune", "Importo"], letter="lettera")
    assert row.draft, codes(row)
    assert row.draft.columns == {"Quota": "12,5", "Dal": "14/09/2026", "Comune": "Borgo", "Importo": "85,05"}
