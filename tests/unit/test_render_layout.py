"""Where everything stands on a notice, for every variant: on the sheet, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.render.adapters.layout import listed
from services.render.adapters.sheet import BOTTOM, Code, Region, Sheet, Text
from tests.notice_hand import COUNTS, LANGUAGES, OFFICIAL_TEXTS, Variant, variants

OVERLAP_MM = 0.35
"""Lines of text may touch: a box is as high as its leading."""


def boxes(sheet: Sheet) -> Iterator[tuple[int, Text | Code, Region]]:
    for number, page in enumerate(sheet.pages):
        for box in page:
            if isinstance(box, Text):
                yield number, box, box.region
            elif isinstance(box, Code):
                yield number, box, (box.left, box.top, box.left + box.side, box.top + box.side)


def overlapping(sheet: Sheet) -> Iterator[tuple[object, object]]:
    pages: dict[int, list[tuple[Text | Code, Region]]] = {}
    for number, box, region in boxes(sheet):
        pages.setdefault(number, []).append((box, region))
    for standing in pages.values():
        standing.sort(key=lambda each: each[1][1])
        for index, (one, (left, _, right, low)) in enumerate(standing):
            for other, (other_left, top, other_right, _) in standing[index + 1 :]:
                if low - top <= OVERLAP_MM:
                    break
                if min(right, other_right) - max(left, other_left) > OVERLAP_MM:
                    yield one, other


def wordings() -> Iterator[Any]:
    for languages in LANGUAGES:
        yield pytest.param(None, languages, id="-".join(languages))
        if OFFICIAL_TEXTS.is_dir() and "de" not in languages:
            yield pytest.param(OFFICIAL_TEXTS, languages, id="-".join(("official", *languages)))


@pytest.mark.parametrize(("texts", "languages"), list(wordings()))
def test_in_no_variant_does_anything_leave_the_page_or_stand_on_something_else(
    texts: Path | None, languages: tuple[str, ...]
) -> None:
    for variant in variants(languages):
        if languages != ("it",) and variant.instalments not in {0, 2, 3, 5, 9, 12}:
            continue
        sheet = variant.sheet(texts)
        outside = [box for _, box, (left, _, right, low) in boxes(sheet) if left < 9.9 or right > 200.1 or low > BOTTOM]
        assert outside == [], variant
        assert list(overlapping(sheet)) == [], variant


@pytest.mark.parametrize("slips", [False, True], ids=["plain", "slips"])
@pytest.mark.parametrize("count", COUNTS)
def test_every_debt_has_its_codes_once(count: int, slips: bool) -> None:
    for in_full in (True, False) if count else (True,):
        variant = Variant(instalments=count, slips=slips, in_full=in_full)
        due = {f"i{number}_" for number in range(1, count + 1)} | ({""} if in_full and count < 9 else set())
        drawn = [code.slot for _, code in variant.sheet().codes()]
        wanted = [f"{prefix}{kind}" for prefix in due for kind in ("qr", "matrix")[: 2 if slips else 1]]
        assert sorted(drawn) == sorted(wanted)
        assert set(variant.notice().codes) == set(wanted)


def test_every_slot_has_a_value() -> None:
    for variant in variants(("it",), long=(False,)):
        values = variant.notice().values
        slots = {
            line for _, box, _ in boxes(variant.sheet()) if isinstance(box, Text) and box.slot for line in box.lines
        }
        assert {slot for slot in slots if not values.get(slot)} == set(), variant


@pytest.mark.parametrize(
    ("count", "plain", "with_slips"),
    [
        (2, [2], [2]), (3, [3], [3]), (4, [2, 2], [2, 2]), (5, [2, 3], [2, 3]), (6, [2, 2, 2], [3, 3]),
        (7, [3, 2, 2], [3, 2, 2]), (8, [2, 3, 3], [2, 3, 3]), (9, [3, 3, 3], [3, 3, 3]),
    ],
)  # fmt: skip
def test_instalments_stand_in_the_rows_of_the_official_templates(
    count: int, plain: list[int], with_slips: list[int]
) -> None:
    assert listed(count, slips=False) == plain
    assert listed(count, slips=True) == with_slips


@pytest.mark.parametrize("count", [10, 11, 12])
def test_more_than_nine_go_on_in_threes_or_twos(count: int) -> None:
    for slips in (False, True):
        assert sum(listed(count, slips=slips)) == count


@pytest.mark.parametrize("languages", [("it",), ("it", "de")], ids="-".join)
def test_no_page_mixes_rows_of_two_with_rows_of_three(languages: tuple[str, ...]) -> None:
    for variant in variants(languages):
        widths: dict[int, set[float]] = {}
        for page, box, _ in boxes(variant.sheet()):
            if isinstance(box, Text) and box.slot in {"half_subject", "third_subject"}:
                widths.setdefault(page, set()).add(box.width)
        assert all(len(each) == 1 for each in widths.values()), variant


def test_pages_are_as_many_as_the_official_templates_have() -> None:
    pages = {count: len(Variant(instalments=count).sheet().pages) for count in (2, 3, 4, 5, 6, 7, 8, 9, 12)}
    assert pages == {2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 12: 2}
    slips = {count: len(Variant(instalments=count, slips=True).sheet().pages) for count in (2, 3, 4, 5, 6, 7, 8, 9)}
    assert slips == {2: 2, 3: 2, 4: 3, 5: 3, 6: 3, 7: 4, 8: 4, 9: 4}


def test_a_notice_without_due_date_says_so_nowhere() -> None:
    for variant in (Variant(dated=False, slips=True), Variant(instalments=3, dated=False)):
        said = {line for _, box, _ in boxes(variant.sheet()) if isinstance(box, Text) for line in box.lines}
        assert not {line for line in said if "due_date" in line or "entro il" in line or "quando" in line}
        assert "Quanto pagare?" in said
