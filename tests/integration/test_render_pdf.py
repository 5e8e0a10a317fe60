"""The finished PDFs, opened with other libraries than those that made them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pikepdf
import pypdfium2
import pytest
import zxingcpp
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration

from services.render.adapters.assets import BASE_URL, Assets, template
from services.render.adapters.content import notice_of
from services.render.adapters.kit import Kit, load_kit
from services.render.adapters.notice import NoticePress
from services.render.adapters.notice_readback import read_notice
from services.render.adapters.printer import Printer
from services.render.adapters.readback import Misread, read_letter
from services.render.ports import Answer, Job, Misprint, Printed, Unmade
from services.render.settings import RenderSettings
from shared.contracts.record import Address, Debtor, Payment, Record
from shared.creditors import Contacts, load_creditors
from shared.printing import Weight, wrap
from tests.audit import text_of
from tests.builders import a_letter_archive, a_rendered_record

# WeasyPrint 70 leaves the profile of every PDF/A to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in.*sRGB2014:pytest.PytestUnraisableExceptionWarning"
)
ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 24)
COLUMNS = {"Alunno": "Giulia Rossi", "plesso": "Primaria «Gianni Rodari»", "TRATTA": "B – Borgo Nord"}
HOME = Address(street="Via Garibaldi", number="12/B", postal_code="00000", city="Borgo Esempio", province="BE")
LONG: dict[str, Any] = {
    "debtor": Debtor(
        name="ASSOCIAZIONE SPORTIVA DILETTANTISTICA POLISPORTIVA BORGO ESEMPIO 1921!"[:70],
        fiscal_code="99999000997",
        address=Address(
            street="Strada Vicinale del Santissimo Crocifisso di San Martino in Campo",
            number="123/bis scala B int. 14",
            postal_code="00000",
            city="San Giovanni in Persiceto sul Naviglio",
            province="BE",
        ),
    ),
    "payment": Payment(
        payment_type="scuolabus",
        amount_cents=99_999_999_999,
        due_date=date(2027, 1, 23),
        reason=("SERVIZIO DI TRASPORTO SCOLASTICO ANNO 2026/2027 - SECONDA RATA - ALUNNO ISCRITTO ALLA SCUOLA " * 2)[
            :140
        ],
    ),
}
SHORT: dict[str, Any] = {
    "debtor": Debtor(name="Li Wu", fiscal_code="RSSMRA85T50H501S"),
    "payment": Payment(payment_type="scuolabus", amount_cents=1, due_date=date(2027, 1, 23), reason="Mensa"),
}
FOREIGN = Debtor(name="Žofia Čapková-Müßig d’Aça", fiscal_code="RSSMRA85T50H501S", address=HOME)


@pytest.fixture(scope="module")
def kit() -> Kit:
    return replace(load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings()), rehearsal=False)


@pytest.fixture(scope="module")
def printer(kit: Kit) -> Printer:
    return Printer(kit)


@pytest.fixture(scope="module")
def rehearsal(kit: Kit) -> Printer:
    return Printer(replace(kit, rehearsal=True))


def bare(kit: Kit) -> Kit:
    """The same creditor without logo, contacts and CBILL code."""
    creditor = kit.creditors["c_x999"].model_copy(update={"cbill": None, "contacts": Contacts()})
    return replace(kit, creditors={"c_x999": creditor}, logos={})


def notice(answer: Answer) -> bytes:
    assert isinstance(answer, Printed), answer
    assert answer.notice is not None
    return answer.notice


def letter(answer: Answer) -> bytes:
    assert isinstance(answer, Printed), answer
    assert answer.letter is not None
    return answer.letter


def words(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    texts = [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    document.close()
    return texts


def fonts(pdf: pikepdf.Pdf) -> Iterator[tuple[str, Any]]:
    for thing in cast("Iterable[Any]", pdf.objects):
        if isinstance(thing, pikepdf.Dictionary) and thing.get("/Type") == "/FontDescriptor":
            yield str(thing.FontName), thing


@pytest.mark.parametrize("parts", [{}, {"debtor": FOREIGN}, LONG, SHORT], ids=["usual", "foreign", "long", "short"])
@pytest.mark.parametrize("furnished", [True, False], ids=["furnished", "bare"])
def test_a_notice_is_one_page_with_a_code_of_25_mm_that_says_what_the_record_says(
    kit: Kit, parts: dict[str, Any], furnished: bool
) -> None:
    record = a_rendered_record(**parts)
    pdf = notice(Printer(kit if furnished else bare(kit)).make(Job(record, TODAY)))
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    image = document[0].render(scale=300 / 72).to_pil()
    document.close()
    (code,) = zxingcpp.read_barcodes(image)
    assert code.format == zxingcpp.BarcodeFormat.QRCode
    assert code.text == f"PAGOPA|002|312000000000004260|99999000997|{record.payment.amount_cents:02d}"
    assert (cast("Any", code.extra)["Version"], code.ec_level) == ("4", "M")
    side_mm = (code.position.top_right.x - code.position.top_left.x) / 300 * 25.4
    assert side_mm == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize("parts", [{}, LONG, SHORT], ids=["usual", "long", "short"])
def test_no_text_of_a_notice_leaves_its_column(printer: Printer, parts: dict[str, Any]) -> None:
    document = pypdfium2.PdfDocument(notice(printer.make(Job(a_rendered_record(**parts), TODAY))))
    page = document[0]
    text = page.get_textpage()
    letters = [index for index in range(text.count_chars()) if text.get_text_range(index, 1).strip()]
    boxes = [text.get_charbox(index, loose=True) for index in letters]
    document.close()
    margin, middle, right = (mm / 25.4 * 72 for mm in (10, 104, 200))
    assert min(left for left, _, _, _ in boxes) >= margin - 0.5
    assert max(edge for _, _, edge, _ in boxes) <= right + 0.5
    upper = 841.89 - 52 / 25.4 * 72, 841.89 - 141 / 25.4 * 72
    assert [box for box in boxes if upper[1] < box[1] < upper[0] and box[0] < middle < box[2]] == []


@pytest.mark.parametrize("weight", [400, 700])
@pytest.mark.parametrize("size", [8, 10.5, 16])
def test_the_rule_of_what_fits_measures_lines_as_the_renderer_does(weight: int, size: float) -> None:
    text = "WAVE To Strada Vicinale del Santissimo Crocifisso di San Martino 123/bis, è così"
    styles = FontConfiguration()
    page = (
        "<style>@page{size:2000pt 100pt;margin:0}body{margin:0}span{white-space:pre;font-kerning:none;font-variant-ligatures:none;"
        f"font:{weight} {size}pt 'Titillium Web'}}</style><span>{text}</span>"
    )
    fonts_css = CSS(string=template("fonts.css"), font_config=styles, url_fetcher=Assets(), base_url=BASE_URL)
    document = HTML(string=page, url_fetcher=Assets(), base_url=BASE_URL).write_pdf(
        stylesheets=[fonts_css], font_config=styles
    )
    opened = pypdfium2.PdfDocument(document)
    letters = opened[0].get_textpage()
    drawn = letters.get_charbox(letters.count_chars() - 1, loose=True)[2]
    opened.close()
    face: Weight = "bold" if weight == 700 else "regular"
    assert len(wrap(text, face, drawn * 1.0005, size)) == 1
    assert len(wrap(text, face, drawn * 0.9995, size)) == 2


def test_fonts_are_embedded_and_are_those_of_the_guide(printer: Printer) -> None:
    with pikepdf.open(io.BytesIO(notice(printer.make(Job(a_rendered_record(), TODAY))))) as pdf:
        found = dict(fonts(pdf))
        assert {name.partition("+")[2] for name in found} == {
            "Titillium-Web", "Titillium-Web-Bold", "Roboto-Mono", "Roboto-Mono-Bold",
        }  # fmt: skip
        assert all("/FontFile2" in font or "/FontFile3" in font for font in found.values())


@pytest.mark.parametrize("kind", ["notice", "letter"])
def test_documents_are_tagged_and_made_to_be_kept(printer: Printer, kind: str) -> None:
    answer = printer.make(Job(a_rendered_record(letter="scuolabus", columns=COLUMNS), TODAY))
    with pikepdf.open(io.BytesIO(notice(answer) if kind == "notice" else letter(answer))) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert pdf.Root.Lang == "it"
        assert "/StructTreeRoot" in pdf.Root
        assert "/OutputIntents" in pdf.Root
        with pdf.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "A")
            assert metadata["dc:title"]


def test_the_same_record_printed_twice_is_the_same_document(kit: Kit, printer: Printer) -> None:
    job = Job(a_rendered_record(letter="scuolabus", columns=COLUMNS), TODAY)
    assert printer.make(job) == Printer(kit).make(job)


def test_a_notice_without_address_and_code_of_the_bank_closes_up(kit: Kit) -> None:
    (text,) = words(notice(Printer(bare(kit)).make(Job(a_rendered_record(), TODAY))))
    assert "CBILL" not in text
    assert "()" not in text


def test_every_document_of_a_rehearsal_says_facsimile_and_no_other_does(printer: Printer, rehearsal: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS)
    true, mock = printer.make(Job(record, TODAY)), rehearsal.make(Job(record, TODAY))
    for pdf in (notice(true), letter(true)):
        assert all("FAC-SIMILE" not in text for text in words(pdf))
    for pdf in (notice(mock), letter(mock)):
        assert all("FAC-SIMILE" in text for text in words(pdf))


def test_a_preview_is_a_facsimile_and_needs_no_number(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS, position=None)
    answer = printer.make(Job(record, TODAY, preview=True, notice=False))
    assert isinstance(answer, Printed)
    assert answer.notice is None
    text, notes = words(letter(answer))
    assert "FAC-SIMILE" in text
    assert "FAC-SIMILE" in notes
    assert "XXXX XXXX XXXX XXXX XX" in text


def test_a_letter_says_what_its_columns_and_the_record_say(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS, debtor=FOREIGN)
    text, _ = words(letter(printer.make(Job(record, TODAY))))
    told = ("Žofia Čapková-Müßig d’Aça", "Via Garibaldi 12/B", "00000 Borgo Esempio (BE)", "Giulia Rossi", "85,05",
            "Primaria «Gianni Rodari»", "B – Borgo Nord", "23/01/2027", "3120 0000 0000 0042 60", "24 novembre 2026")  # fmt: skip
    assert [value for value in told if value not in text] == []


def test_a_value_with_markup_in_it_is_text(printer: Printer) -> None:
    columns = {**COLUMNS, "Alunno": "<b>Rossi</b> & {{ importo }}"}
    text, _ = words(letter(printer.make(Job(a_rendered_record(letter="scuolabus", columns=columns), TODAY))))
    assert "<b>Rossi</b> & {{ importo }}" in text


def test_a_column_that_the_sheet_lacks_is_named(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns={"Alunno": "x", "Plesso": "y"})
    answer = printer.make(Job(record, TODAY))
    assert isinstance(answer, Unmade)
    assert answer.code == "letter-variable-missing"
    assert "«Tratta»" in answer.detail


def test_text_that_does_not_fit_is_refused_by_the_rule_that_the_sheet_is_checked_with(printer: Printer) -> None:
    answer = printer.make(Job(a_rendered_record(debtor=Debtor(name="W" * 70, fiscal_code="99999000997")), TODAY))
    assert isinstance(answer, Unmade)
    assert answer.code == "does-not-fit"
    assert "W" not in answer.detail


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("sum", {"amount_cents": 8506}),
        ("due-date", {"due_date": date(2027, 1, 24)}),
        ("subject", {"reason": "Altro"}),
    ],
)
def test_a_notice_that_says_something_else_than_its_record_is_not_given_out(
    kit: Kit, printer: Printer, what: str, change: dict[str, Any]
) -> None:
    record = a_rendered_record()
    pdf = notice(printer.make(Job(record, TODAY)))
    other = record.model_copy(update={"payment": record.payment.model_copy(update=change)})
    creditor = kit.creditors["c_x999"]
    sheet = NoticePress(kit.words, kit.slip_words, kit.marks).sheet(notice_of(record, creditor, logo=True).shape)
    read_notice(pdf, sheet, record, creditor, facsimile=False)
    with pytest.raises(Misread, match=f"^read-back-{what}$"):
        read_notice(pdf, sheet, other, creditor, facsimile=False)


def test_a_letter_for_somebody_else_is_not_given_out(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS)
    pdf = letter(printer.make(Job(record, TODAY)))
    with pytest.raises(Misread, match=r"^read-back-letter-name$"):
        read_letter(pdf, somebody_else(record), facsimile=False)
    with pytest.raises(Misread, match=r"^read-back-letter-facsimile$"):
        read_letter(pdf, record, facsimile=True)


def test_a_preview_shows_every_word_and_no_code_that_could_be_paid(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS)
    answer = printer.make(Job(record, TODAY, preview=True))
    assert isinstance(answer, Printed)
    assert record.position is not None
    for pdf in (answer.notice, answer.letter):
        assert pdf is not None
        document = pypdfium2.PdfDocument(pdf)
        for page in document:
            said = page.get_textpage().get_text_range()
            assert "FAC-SIMILE" in said
            assert record.position.notice_code not in said.replace(" ", "")
            for found in zxingcpp.read_barcodes(page.render(scale=200 / 72).to_pil()):
                assert found.text == "FAC-SIMILE: QUESTO AVVISO NON SI PAGA"
        document.close()
    assert answer.notice is not None
    assert "85,05" in text_of(answer.notice)
    assert "XXXX XXXX XXXX XXXX XX" in text_of(answer.notice)


def test_a_letter_that_prints_into_the_place_of_the_stamp_is_refused(kit: Kit) -> None:
    stamp = "stamp = { left = 20, top = 10, width = 60, height = 20 }"
    key, style = ("c_x999", "scuolabus", "scuolabus"), "@page { margin: 40mm 20mm }"
    free = a_letter_archive("<p>{{ intestazione }}", manifest=stamp, letter_css=style)
    covered = a_letter_archive("<p>{{ intestazione }}", manifest=stamp, letter_css="@page { margin: 15mm 20mm }")
    record = a_rendered_record(letter="scuolabus")
    for preview in (False, True):
        job = Job(record, TODAY, preview=preview, notice=False)
        assert isinstance(Printer(replace(kit, letters={key: free})).make(job), Printed)
        refused = Printer(replace(kit, letters={key: covered})).make(job)
        assert isinstance(refused, Unmade)
        assert refused.code == "letter-stamp-covered"


def test_letter_and_notice_in_one_document_keep_their_looks_words_and_tags(printer: Printer) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS)
    apart, one = printer.make(Job(record, TODAY)), printer.make(Job(record.model_copy(update={"merged": True}), TODAY))
    assert isinstance(apart, Printed)
    assert isinstance(one, Printed)
    assert one.letter is None
    assert one.notice is not None
    assert apart.letter is not None
    assert apart.notice is not None
    assert text_of(one.notice) == text_of(apart.letter) + "\n" + text_of(apart.notice)
    again = printer.make(Job(record.model_copy(update={"merged": True}), TODAY))
    assert again == one  # registered is a hash: what is printed again is the same document
    with pikepdf.open(io.BytesIO(one.notice)) as pdf, pikepdf.open(io.BytesIO(apart.notice)) as notice:
        pages = [page.obj.objgen for page in pdf.pages]
        tagged = Counter(pages.index(element.Pg.objgen) for element in elements(pdf.Root.StructTreeRoot))
        assert set(tagged) == {0, 1, 2}
        assert tagged[2] == len(list(elements(notice.Root.StructTreeRoot)))
        table = {int(key): tags for key, tags in pairs(pdf.Root.StructTreeRoot.ParentTree.Nums)}
        assert [table[int(page.obj.StructParents)][0].Pg.objgen for page in pdf.pages] == pages
        with pdf.open_metadata() as told, notice.open_metadata() as before:
            for name in ("dc:title", "pdfaid:part", "pdfaid:conformance", "pdfuaid:part"):
                assert told.get(name) == before.get(name)
        assert str(pdf.Root.Lang) == "it"


def test_what_the_whole_does_not_show_as_its_parts_do_is_not_given_out(
    monkeypatch: pytest.MonkeyPatch, printer: Printer
) -> None:
    record = a_rendered_record(letter="scuolabus", columns=COLUMNS, merged=True)
    monkeypatch.setattr(pikepdf.Pdf, "save", lambda _pdf, out, **_: out.write(a_pdf_page()))
    assert printer.make(Job(record, TODAY)) == Misprint("read-back-merged")


def a_pdf_page() -> bytes:
    page: bytes = HTML(string="<p>Altro").write_pdf()
    return page


def elements(root: Any) -> Iterator[Any]:
    """The tags that name a page."""
    for kid in root.get("/K", []):
        if isinstance(kid, pikepdf.Dictionary):
            if "/Pg" in kid:
                yield kid
            yield from elements(kid)


def pairs(nums: Any) -> Iterator[tuple[Any, Any]]:
    return zip(list(nums)[::2], list(nums)[1::2], strict=True)


def somebody_else(record: Record) -> Record:
    return record.model_copy(update={"debtor": record.debtor.model_copy(update={"name": "Bianchi Luca"})})


def test_a_letter_that_does_not_name_its_recipient_is_a_misprint(kit: Kit) -> None:
    key = ("c_x999", "scuolabus", "scuolabus")
    nameless = replace(kit, letters={key: a_letter_archive("<p>A tutti: {{ importo }}</p>")})
    answer = Printer(nameless).make(Job(a_rendered_record(letter="scuolabus"), TODAY))
    assert answer == Misprint("read-back-letter-name")
