"""The notice in its variants, as finished PDFs: read back, measured against the guide, and by whose fonts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pikepdf
import pypdfium2
import pytest
import zxingcpp

from services.render.adapters.kit import Kit, load_kit
from services.render.adapters.notice import NoticePress
from services.render.adapters.printer import Printer
from services.render.adapters.sheet import Text
from services.render.adapters.texts import load_words
from services.render.model import SPECIMEN
from services.render.ports import Job, Printed
from services.render.settings import RenderSettings
from shared.contracts.record import Debtor
from shared.creditors import load_creditors
from tests.builders import a_rendered_record
from tests.notice_hand import HOME, VARIANTS, Variant

# WeasyPrint 70 leaves the profile of every PDF/A to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in.*sRGB2014:pytest.PytestUnraisableExceptionWarning"
)
ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 24)
OURS = {"Titillium-Web", "Titillium-Web-Bold", "Roboto-Mono", "Roboto-Mono-Bold", "Noto-Sans-Regular", "Noto-Sans-Bold"}


@pytest.fixture(scope="module")
def example() -> Kit:
    return replace(load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings()), rehearsal=False)


def kit_for(example: Kit, variant: Variant) -> Kit:
    words = {variant.languages: load_words(None, variant.languages)}
    return replace(example, creditors={"c_x999": variant.creditor()}, words=words)


def printed(kit: Kit, variant: Variant, **parts: Any) -> bytes:
    answer = Printer(kit_for(kit, variant)).make(Job(variant.record(**parts), TODAY))
    assert isinstance(answer, Printed), answer
    assert answer.notice is not None
    return answer.notice


@pytest.fixture(scope="module")
def single(example: Kit) -> bytes:
    return printed(example, Variant(slips=True))


def letters(pdf: bytes) -> Iterator[tuple[str, float, float, float]]:
    """Each visible character of the first page: itself, left, right and middle (from above), in points."""
    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    text = page.get_textpage()
    for index in range(text.count_chars()):
        char = text.get_text_range(index, 1)
        if char.strip():
            left, low, right, high = text.get_charbox(index, loose=True)
            yield char, left, right, page.get_height() - (low + high) / 2
    document.close()


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_is_printed_and_says_what_its_record_says(example: Kit, variant: Variant) -> None:
    pdf = printed(example, variant)
    document = pypdfium2.PdfDocument(pdf)
    images = [page.render(scale=200 / 72).to_pil() for page in document]
    document.close()
    read = [code for image in images for code in zxingcpp.read_barcodes(image)]
    codes = variant.notice().codes
    assert sorted(code.text for code in read) == sorted(codes.values())
    for code in read:
        side = (code.position.top_right.x - code.position.top_left.x) / 200 * 25.4
        assert side == pytest.approx(25 if code.format == zxingcpp.BarcodeFormat.QRCode else 23, abs=0.6)


def test_what_stands_where_is_what_the_guide_measures(single: bytes) -> None:
    """Left edge 28 pt, second column 323, payment text 167, right edge 567 (on 595.92 by 842.88)."""
    lefts = sorted(left for _, left, _, _ in letters(single))
    assert lefts[0] == pytest.approx(28.3, abs=0.7)
    lines: dict[int, list[tuple[str, float, float]]] = {}
    for char, left, right, middle in letters(single):
        lines.setdefault(round(middle), []).append((char, left, right))
    assert max(right for line in lines.values() for _, _, right in line) == pytest.approx(567, abs=0.8)
    starts = {round(left) for line in lines.values() for left in (min(left for _, left, _ in line),)}
    assert any(abs(start - 28) <= 1 for start in starts)
    left_edges = [left for line in lines.values() for _, left, _ in line]
    for column in (167, 323):
        assert min(abs(left - column) for left in left_edges) < 1.2, column


def test_the_bands_stand_where_the_guide_has_them(single: bytes) -> None:
    """About 8 mm high, at 125, 255, 400 and, postal, 573 pt."""
    document = pypdfium2.PdfDocument(single)
    image = document[0].render(scale=300 / 72).to_pil().convert("L")
    document.close()
    column = [image.getpixel((image.width // 50, y)) for y in range(image.height)]  # left of all text
    edges = [y / 300 * 72 for y in range(1, image.height) if (column[y] < 245) != (column[y - 1] < 245)]
    assert len(edges) == 8
    for top, low, guide in zip(edges[::2], edges[1::2], (125, 255, 400, 573), strict=True):
        assert top == pytest.approx(guide, abs=2)
        assert (low - top) / 72 * 25.4 == pytest.approx(8, abs=0.2)


def test_sizes_and_weights_are_those_of_the_guide() -> None:
    page = Variant(slips=True).sheet().pages[0]
    sizes = {box.slot: (box.size, box.look) for box in page if isinstance(box, Text) and box.slot}
    guide = {
        "subject": (16, "bold"), "sum": (16, "bold"), "creditor": (14, "bold"), "name": (14, "bold"),
        "office": (12, ""), "address": (12, ""), "fiscal_code": (8, "mono right"), "notice_code": (10, "mono bold"),
        "figures": (12, "mono bold right"), "account": (12, "mono bold"), "authorisation": (7, "grey-70"),
    }  # fmt: skip
    assert {slot: sizes[slot] for slot in guide} == guide


def test_no_code_of_a_preview_can_be_paid(example: Kit) -> None:
    variant = Variant(instalments=3, slips=True)
    answer = Printer(kit_for(example, variant)).make(Job(variant.record(position=None), TODAY, preview=True))
    assert isinstance(answer, Printed), answer
    assert answer.notice is not None
    document = pypdfium2.PdfDocument(answer.notice)
    images = [page.render(scale=200 / 72).to_pil() for page in document]
    document.close()
    read = [code.text for image in images for code in zxingcpp.read_barcodes(image)]
    assert read
    assert set(read) == {SPECIMEN}


@pytest.mark.parametrize("name", ["D'ANGELO Nuñez", "Łukasz Groß", "Щукина Ольга", "Παπαδόπουλος", "Nguyễn Thị Ánh"])
def test_a_name_keeps_its_letters_and_their_case_and_only_our_fonts_are_used(example: Kit, name: str) -> None:
    debtor = Debtor(name=name, fiscal_code="RSSMRA85T50H501S", address=HOME)
    pdf = printed(example, Variant(slips=True), debtor=debtor)
    document = pypdfium2.PdfDocument(pdf)
    text = document[0].get_textpage().get_text_range()
    document.close()
    assert text.count(name) == 3
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        things = [thing for thing in cast("Iterable[Any]", opened.objects) if isinstance(thing, pikepdf.Dictionary)]
        found = {str(thing.FontName).partition("+")[2] for thing in things if thing.get("/Type") == "/FontDescriptor"}
    assert found <= OURS, found


def test_a_page_is_written_once_for_all_records_of_its_shape(example: Kit) -> None:
    press = NoticePress(example.words, example.slip_words, example.marks)
    source = press.source(Variant().notice().shape)
    assert "{{ name_1 }}" in source
    assert "{%" not in source
    assert "Rossi" not in source
    one, other = (
        Variant().notice(),
        Variant().record(debtor=Debtor(name="Bianchi Luca", fiscal_code="BNCLCU80A01H501X")),
    )
    assert a_rendered_record().debtor.name != other.debtor.name
    assert one.shape == Variant().notice().shape
