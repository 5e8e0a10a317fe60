"""The read-back of notices: every variant with every check, and wrong PDFs, each found by the check named for it alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import pikepdf
import pytest

from services.render.adapters.content import Notice
from services.render.adapters.kit import Kit, load_kit
from services.render.adapters.notice import NoticePress
from services.render.adapters.notice_readback import differences, read_notice
from services.render.adapters.printer import Printer
from services.render.adapters.texts import load_words
from services.render.ports import DRAWN, READ, Job, Misprint, Printed
from services.render.settings import RenderSettings
from shared.contracts.record import Address, Record
from shared.creditors import Creditor, load_creditors
from tests.notice_hand import LANGUAGES, VARIANTS, Variant

# WeasyPrint 70 leaves the profile of every PDF/A to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in.*sRGB2014:pytest.PytestUnraisableExceptionWarning"
)
ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 24)
SINGLE, MANY, UNDATED = Variant(slips=True), Variant(instalments=3, slips=True), Variant(dated=False)
ELSEWHERE = Address(street="Via Altrove", number="1", postal_code="11111", city="Altra", province="AL")


@pytest.fixture(scope="module")
def kit() -> Kit:
    return replace(load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings()), rehearsal=False)


@pytest.fixture(scope="module")
def press(kit: Kit) -> NoticePress:
    return NoticePress({spoken: load_words(None, spoken) for spoken in LANGUAGES}, kit.slip_words, kit.marks)


def kit_for(kit: Kit, variant: Variant, **parts: Any) -> Kit:
    words = {variant.languages: load_words(None, variant.languages)}
    return replace(kit, creditors={"c_x999": variant.creditor()}, words=words, **parts)


# -- variants x checks


Change = tuple[str, Record, Creditor]
"""A check, and a record or a creditor whose notice would say something else where that check looks."""


def other_payments(variant: Variant) -> Iterator[Change]:
    record = variant.record()
    payment = record.payment
    cents, day = {"amount_cents": 7}, {"due_date": date(2030, 1, 1)}
    wrong: list[tuple[str, dict[str, Any]]] = [("subject", {"reason": "Altro"}), ("sum", cents)]
    wrong.append(("due-date", {"due_date_printed": not variant.dated}))
    of_one: list[tuple[str, dict[str, Any]]] = [("figures", cents), ("qr", cents)]
    if variant.dated:
        of_one.append(("due-date", day))
    if payment.instalments:
        *others, last = payment.instalments
        of_one = [(check, {"instalments": [*others, last.model_copy(update=update)]}) for check, update in of_one]
    wrong += of_one
    for check, update in wrong:
        yield check, record.model_copy(update={"payment": payment.model_copy(update=update)}), variant.creditor()


def other_people(variant: Variant) -> Iterator[Change]:
    record = variant.record()
    position = record.position
    assert position is not None
    code: dict[str, Any] = {"notice_code": "300000000000000001"}
    if position.instalments:
        *others, last = position.instalments
        code["instalments"] = [*others, last.model_copy(update=code)]
    matrix = ["matrix"] if variant.slips else []
    for check in ("notice-code", "qr", *matrix):
        yield check, record.model_copy(update={"position": position.model_copy(update=code)}), variant.creditor()
    for checks, update in (
        (["name", *matrix], {"name": "Bianchi Luca"}),
        (["fiscal-code", *matrix], {"fiscal_code": "BNCLCU80A01H501X"}),
        (["address"], {"address": ELSEWHERE}),
    ):
        other = record.model_copy(update={"debtor": record.debtor.model_copy(update=update)})
        yield from ((check, other, variant.creditor()) for check in checks)


def other_creditors(variant: Variant) -> Iterator[Change]:
    record, creditor, postal = variant.record(), variant.creditor(), variant.creditor().postal
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("creditor", {"name": "Comune di Altrove"}),
        ("creditor-tax-code", {"tax_code": "01199250158"}),
        ("qr", {"tax_code": "01199250158"}),
        ("cbill", {"cbill": "ZZZZZ"}),
    ]
    for check, key, value in (
        ("account", "iban", "IT17X0760103200000000000001"),
        ("matrix", "iban", "IT17X0760103200000000000001"),
        ("holder", "holder", "Altri"),
        ("authorisation", "authorisation", "AUT. DB/0002/XXX 12345 DEL 01/02/2026"),
    ):
        if postal:
            wrong.append((check, {"postal": postal.model_copy(update={key: value})}))
    for check, update in wrong:
        yield check, record, creditor.model_copy(update=update)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_each_check_looks_at_each_variant(press: NoticePress, variant: Variant) -> None:
    notice = variant.notice()
    pdf, sheet = press.pdf(notice, None, facsimile=False), press.sheet(notice.shape)
    read_notice(pdf, sheet, variant.record(), variant.creditor(), facsimile=False, raster=True)
    for check, record, creditor in chain(other_payments(variant), other_people(variant), other_creditors(variant)):
        assert check in set(differences(pdf, sheet, record, creditor, facsimile=False)), check


# -- wrong PDFs


def said(**values: str) -> Callable[[Notice], Notice]:
    """Other values, by the ends of their slots' names."""

    def altered(notice: Notice) -> Notice:
        wrong = {slot: new for slot in notice.values for end, new in values.items() if slot.endswith(end)}
        assert wrong
        return replace(notice, values=notice.values | wrong)

    return altered


def slot(name: str, value: str | None = None, like: str = "") -> Callable[[Notice], Notice]:
    """Another value in one slot, or that of another one."""
    return lambda notice: replace(notice, values=notice.values | {name: value or notice.values[like]})


def coded(name: str, old: str, new: str) -> Callable[[Notice], Notice]:
    """A code with something else in it."""

    def altered(notice: Notice) -> Notice:
        assert old in notice.codes[name]
        return replace(notice, codes=notice.codes | {name: notice.codes[name].replace(old, new, 1)})

    return altered


def coded_like(name: str, other: str) -> Callable[[Notice], Notice]:
    """A code on the place of another."""
    return lambda notice: replace(notice, codes=notice.codes | {name: notice.codes[other]})


def shifted(notice: Notice) -> Notice:
    """One character too many before the name, one too few after it: as long as it must be."""
    wrong = notice.codes["matrix"]
    return replace(notice, codes=notice.codes | {"matrix": f"{wrong[:93]} {wrong[93:132]}{wrong[133:]}"})


def shaped(**parts: Any) -> Callable[[Notice], Notice]:
    """Laid out as another variant."""
    return lambda notice: replace(notice, shape=replace(notice.shape, **parts))


WRONG_INPUT: dict[str, tuple[str, Variant, Callable[[Notice], Notice]]] = {
    "another debtor's name": ("name", SINGLE, said(name_1="Rossi Mario")),
    "the name of somebody whose name ends so": ("name", SINGLE, said(name_1="De Rossi Maria")),
    "another debtor's tax code": ("fiscal-code", SINGLE, said(fiscal_code="BNCLCU80A01H501X")),
    "another debtor's address": ("address", SINGLE, said(address_1="Via Altrove 1")),
    "a digit of the notice code altered": ("notice-code", SINGLE, said(notice_code="3120 0000 0000 0042 61")),
    "two digits of the notice code swapped": ("notice-code", SINGLE, said(notice_code="3120 0000 0000 0042 06")),
    "the neighbour instalment's notice code": (
        "notice-code", MANY, slot("i2_notice_code", like="i3_notice_code"),
    ),
    "the amount shifted by a place": ("sum", SINGLE, said(sum_1="850,50 Euro")),
    "a figure before the amount": ("figures", SINGLE, slot("figures", "185,05")),
    "the neighbour instalment's amount": ("figures", MANY, slot("i2_figures", "9,99")),
    "another amount on the slip": ("figures", SINGLE, slot("slip_figures", "85,50")),
    "another due date": ("due-date", SINGLE, said(due_date="24/01/2027")),
    "another instalment's due date": ("due-date", MANY, slot("i2_due_date", "01/01/2030")),
    "no due date where there is one": ("due-date", Variant(), shaped(dated=False)),
    "a due date where there is none": ("due-date", UNDATED, shaped(dated=True)),
    "another creditor": ("creditor", SINGLE, said(creditor_1="Comune di Altrove")),
    "another creditor's tax code": ("creditor-tax-code", SINGLE, said(creditor_tax_code="01199250158")),
    "another CBILL code": ("cbill", SINGLE, said(cbill="ZZZZZ")),
    "no CBILL code": ("cbill", SINGLE, shaped(cbill=False)),
    "another reason": ("subject", SINGLE, said(subject_1="Mensa scolastica")),
    "another postal account": ("account", SINGLE, said(account="000000000001")),
    "another account's holder": ("holder", SINGLE, said(slip_holder_1="Comune di Altrove")),
    "another authorisation": ("authorisation", SINGLE, said(authorisation_1="AUT. DB/0002")),
    "a QR code with another record's notice code": ("qr", SINGLE, coded("qr", "312000000000004260", "312000000000004361")),
    "a QR code in euro": ("qr", SINGLE, coded("qr", "|8505", "|85")),
    "a QR code with the amount shifted": ("qr", SINGLE, coded("qr", "|8505", "|85050")),
    "a QR code of another creditor": ("qr", SINGLE, coded("qr", "99999000997", "01199250158")),
    "instalment 1 in the QR code of the whole": ("qr", MANY, coded_like("qr", "i1_qr")),
    "the neighbour instalment's QR code": ("qr", MANY, coded_like("i2_qr", "i3_qr")),
    "the neighbour instalment's postal code": ("matrix", MANY, coded_like("i2_matrix", "i3_matrix")),
    "a postal code with another account": ("matrix", SINGLE, coded("matrix", "000016302093", "000000000001")),
    "a postal code with the amount shifted": ("matrix", SINGLE, coded("matrix", "0000008505", "0000085050")),
    "a postal code of another creditor": ("matrix", SINGLE, coded("matrix", "99999000997", "01199250158")),
    "a postal code of another debtor": ("matrix", SINGLE, coded("matrix", "RSSMRA", "BNCLCU")),
    "a postal code with another name": ("matrix", SINGLE, coded("matrix", "ROSSI MARIA", "ROSSI MARIO")),
    "a postal code with another reason": ("matrix", SINGLE, coded("matrix", "TRASPORTO", "TRASPARTO")),
    "a postal code whose fields are shifted": ("matrix", SINGLE, shifted),
}  # fmt: skip


def on_first_page(alter: Callable[[pikepdf.Pdf, Any], None], pdf: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        alter(opened, opened.pages[0].obj)
        out = io.BytesIO()
        opened.save(out)
    return out.getvalue()


def without_code(number: int, _: pikepdf.Pdf, page: Any) -> None:
    """The codes are the first contents of a page; the last one of the layout is drawn first."""
    del page.Contents[number]


def code_altered(old: bytes, new: bytes, pdf: pikepdf.Pdf, page: Any) -> None:
    content = page.Contents[1].read_bytes()
    assert content.startswith(b"/Artifact BMC")
    assert old in content
    page.Contents[1] = pdf.make_stream(content.replace(old, new, 1))


def painted(operators: bytes, pdf: pikepdf.Pdf, page: Any) -> None:
    """Over all the rest, in points from the upper left corner."""
    page.Contents.append(pdf.make_stream(operators))


def second_code(pdf: pikepdf.Pdf, page: Any) -> None:
    """The QR code once more, where the page is empty."""
    again = b"q 1 0 0 1 0 -250 cm " + page.Contents[-2].read_bytes() + b" Q"
    page.Contents.insert(0, pdf.make_stream(again))


def without_page(pdf: pikepdf.Pdf, _: Any) -> None:
    del pdf.pages[-1]


WRONG_OUTPUT: dict[str, tuple[str, Variant, Callable[[pikepdf.Pdf, Any], None]]] = {
    "no QR code": ("qr", SINGLE, partial(without_code, 1)),
    "no postal code": ("matrix", SINGLE, partial(without_code, 0)),
    "a QR code in light grey": ("qr", SINGLE, partial(code_altered, b"0 g", b"0.9 g")),
    "a QR code in another place": ("qr", SINGLE, partial(code_altered, b"0 g", b"0 g 1 0 0 1 30 0 cm")),
    "a QR code half as large": ("qr", SINGLE, partial(code_altered, b"cm", b"cm .5 0 0 .5 0 0 cm")),
    "a QR code mirrored": ("qr", SINGLE, partial(code_altered, b"cm", b"cm -1 0 0 1 33 0 cm")),
    "a QR code without its upper half": ("qr", SINGLE, partial(painted, b"q 1 g 0 430 120 40 re f Q")),
    "a black bar across the QR code": ("qr", SINGLE, partial(painted, b"q 0 g 20 470 60 2 re f Q")),
    "a line across the QR code": ("raster", UNDATED, partial(painted, b"q 1 G 30 w 0 470 m 120 470 l S Q")),
    "a second QR code": ("raster", UNDATED, second_code),
    "a page missing": ("pages", MANY, without_page),
}


@pytest.mark.parametrize("wrong", WRONG_INPUT)
def test_a_notice_printed_from_wrong_input_is_found_by_its_check_alone(press: NoticePress, wrong: str) -> None:
    check, variant, alter = WRONG_INPUT[wrong]
    notice = alter(variant.notice())
    found = differences(
        press.pdf(notice, None, facsimile=False),
        press.sheet(notice.shape),
        variant.record(),
        variant.creditor(),
        facsimile=False,
    )
    assert set(found) == {check}  # without it nothing is found


@pytest.fixture(scope="module")
def right(press: NoticePress) -> Callable[[Variant], bytes]:
    made: dict[Variant, bytes] = {}

    def print_once(variant: Variant) -> bytes:
        if variant not in made:
            made[variant] = press.pdf(variant.notice(), None, facsimile=False)
        return made[variant]

    return print_once


@pytest.mark.parametrize("wrong", WRONG_OUTPUT)
def test_a_notice_that_was_altered_after_printing_is_found_by_its_check_alone(
    press: NoticePress, right: Callable[[Variant], bytes], wrong: str
) -> None:
    check, variant, alter = WRONG_OUTPUT[wrong]
    pdf, sheet = on_first_page(alter, right(variant)), press.sheet(variant.notice().shape)
    read = partial(differences, pdf, sheet, variant.record(), variant.creditor(), facsimile=False)
    assert set(read(raster=True)) - {"raster"} == {check} - {"raster"}
    assert set(read(raster=check == "raster")) == {check}


def test_another_record_s_notice_is_found_by_all_that_tells_them_apart(press: NoticePress) -> None:
    other = SINGLE.record(debtor=SINGLE.record().debtor.model_copy(update={"name": "Verdi Anna"}))
    pdf, sheet = press.pdf(SINGLE.notice(), None, facsimile=False), press.sheet(SINGLE.notice().shape)
    assert set(differences(pdf, sheet, other, SINGLE.creditor(), facsimile=False)) == {"name", "matrix"}


def test_a_facsimile_that_does_not_say_so_is_found(press: NoticePress, right: Callable[[Variant], bytes]) -> None:
    sheet = press.sheet(SINGLE.notice().shape)
    found = differences(right(SINGLE), sheet, SINGLE.record(), SINGLE.creditor(), facsimile=True)
    assert set(found) == {"facsimile"}


def test_a_postal_slip_whose_place_is_missing_is_found(press: NoticePress) -> None:
    notice = shaped(slips=False)(SINGLE.notice())
    pdf, sheet = press.pdf(notice, None, facsimile=False), press.sheet(notice.shape)
    found = set(differences(pdf, sheet, SINGLE.record(), SINGLE.creditor(), facsimile=False))
    assert {"matrix", "account", "figures"} <= found


# -- what a printer makes of it


def test_what_reads_wrong_is_a_misprint(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Variant().record(debtor=Variant().record().debtor.model_copy(update={"name": "Verdi Anna"}))
    answer = Printer(kit_for(kit, Variant())).make(Job(wrong, TODAY))
    assert isinstance(answer, Printed)
    monkeypatch.setattr(NoticePress, "pdf", lambda *_, **__: answer.notice)
    assert Printer(kit_for(kit, Variant())).make(Job(Variant().record(), TODAY)) == Misprint("read-back-name")


@pytest.mark.parametrize(
    ("record", "every", "verified"), [(50, 50, DRAWN), (51, 50, READ), (51, 1, DRAWN), (50, 0, READ)]
)
def test_one_in_so_many_is_verified_from_pictures_of_its_pages_too(
    kit: Kit, record: int, every: int, verified: str
) -> None:
    answer = Printer(kit_for(kit, SINGLE, raster_every=every)).make(Job(SINGLE.record(id=UUID(int=record)), TODAY))
    assert isinstance(answer, Printed)
    assert answer.verified == verified


def test_a_picture_that_reads_wrong_is_a_misprint(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    printer = Printer(kit_for(kit, UNDATED, raster_every=1))
    pdf = NoticePress.pdf
    lined = partial(on_first_page, partial(painted, b"q 1 G 30 w 0 470 m 120 470 l S Q"))
    monkeypatch.setattr(NoticePress, "pdf", lambda *args, **kwargs: lined(pdf(*args, **kwargs)))
    assert printer.make(Job(UNDATED.record(), TODAY)) == Misprint("read-back-raster")
