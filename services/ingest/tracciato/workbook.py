"""The workbook's own parts: which sheets there are, which cell formats are dates (openpyxl knows)."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from xml.etree import ElementTree

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH

from services.ingest.tracciato.package import Package
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.strings import SharedStrings, read_strings

ZEROS: Final = re.compile(r"0{2,18}")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of cells: its name, its part, and whether the user sees it."""

    name: str
    part: str
    visible: bool


@dataclass(frozen=True, slots=True)
class Workbook:
    """What is needed to read the cells. `dates` and `zeros` are indexes of cell formats: dates, and the digits of `00000`."""

    sheets: list[Sheet]
    dates: frozenset[int]
    zeros: dict[int, int]
    epoch: datetime
    strings: SharedStrings = field(repr=False)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _tree(package: Package, part: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(package.read(part))  # noqa: S314 - `Package.guard` refused every DTD
    except (ElementTree.ParseError, ValueError, LookupError) as wrong:
        raise StructureError("damaged") from wrong


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """(kind, target part) by relationship id."""
    folder, name = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{name}.rels")
    if rels not in package:
        return {}
    found = {}
    for item in _tree(package, rels):
        if item.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, item.get("Target", ""))).lstrip("/")
            found[item.get("Id", "")] = (item.get("Type", "").rpartition("/")[2], target)
    return found


def _formats(package: Package, part: str | None) -> tuple[frozenset[int], dict[int, int]]:
    if part is None or part not in package:
        return frozenset(), {}
    codes: dict[str, str] = {str(number): code for number, code in BUILTIN_FORMATS.items()}
    used: list[str] = []
    for group in _tree(package, part):
        if _local(group.tag) == "numFmts":
            codes |= {item.get("numFmtId", ""): item.get("formatCode", "") for item in group}
        elif _local(group.tag) == "cellXfs":
            used = [codes.get(item.get("numFmtId", ""), "") for item in group]
    dates = frozenset(index for index, code in enumerate(used) if is_date_format(code))
    return dates, {index: len(code) for index, code in enumerate(used) if ZEROS.fullmatch(code)}


def read_workbook(package: Package) -> Workbook:
    """Raises `StructureError`."""
    main = next((target for kind, target in _relations(package, "").values() if kind == "officeDocument"), None)
    if main is None or main not in package:
        raise StructureError("not-an-xlsx")
    tree = _tree(package, main)
    if _local(tree.tag) != "workbook":
        raise StructureError("not-an-xlsx")
    relations = _relations(package, main)
    by_kind = dict(relations.values())
    sheets, epoch = [], WINDOWS_EPOCH
    for item in tree.iter():
        if _local(item.tag) == "workbookPr" and item.get("date1904") in {"1", "true"}:
            epoch = MAC_EPOCH
        elif _local(item.tag) == "sheet":
            key = next((value for name, value in item.attrib.items() if name.endswith("}id")), "")
            kind, target = relations.get(key, ("", ""))
            if kind == "worksheet":
                sheets.append(Sheet(item.get("name", ""), target, item.get("state", "visible") == "visible"))
    dates, zeros = _formats(package, by_kind.get("styles"))
    part = by_kind.get("sharedStrings")
    strings = read_strings(package, part) if part and part in package else SharedStrings()
    return Workbook(sheets, dates, zeros, epoch, strings)
