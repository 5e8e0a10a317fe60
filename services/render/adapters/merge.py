"""Letter and notice as one document: the letter's pages first, then the notice's, with the tags of both.

The notice is the one that is kept: its title, author, language, colour profile and claim of PDF/A. Of the letter, pages
and tags come over; its own title and its bookmarks do not, nor do links from one of its pages to another.
"""

from __future__ import annotations

import io
from itertools import count
from typing import Any

import pikepdf
import pypdfium2

from services.render.adapters.readback import Misread


def merged(letter: bytes, notice: bytes, language: str) -> bytes:
    """One PDF, the same bytes for the same parts. `language` is the letter's. Raises `Misread` where
    the whole does not show what its parts show."""
    with pikepdf.open(io.BytesIO(letter)) as first, pikepdf.open(io.BytesIO(notice)) as whole:
        pages = len(first.pages)
        for at in range(pages):
            whole.pages.insert(at, first.pages[at])
        _graft(whole, whole.copy_foreign(first.Root.StructTreeRoot), pages, language)
        out = io.BytesIO()
        whole.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    pdf = out.getvalue()
    if _shown(pdf) != [*_shown(letter), *_shown(notice)]:
        raise Misread("merged")
    return pdf


def _graft(whole: pikepdf.Pdf, tags: Any, pages: int, language: str) -> None:
    """Put the letter's tags before the notice's. Pages and links name their tags by keys of one table: the letter's get
    new ones after those that are taken."""
    root = whole.Root.StructTreeRoot
    for element in reversed(list(tags.K)):
        element.P, element.Lang = root, pikepdf.String(language)
        root.K.insert(0, element)
    taken, table = _pairs(root), _pairs(tags)
    keys = count(max(taken, default=-1) + 1)
    new = {key: next(keys) for key in sorted(table)}
    for page in list(whole.pages)[:pages]:
        for holder, name in [
            (page.obj, "/StructParents"),
            *((each, "/StructParent") for each in page.obj.get("/Annots", [])),
        ]:
            if name in holder:
                holder[name] = new[int(holder[name])]
    numbered = taken | {new[key]: element for key, element in table.items()}
    root.ParentTree = whole.make_indirect(
        pikepdf.Dictionary(Nums=pikepdf.Array([part for key in sorted(numbered) for part in (key, numbered[key])]))
    )
    root.ParentTreeNextKey = next(keys)


def _pairs(root: Any) -> dict[int, Any]:
    """The table of a tag tree; WeasyPrint writes it as one leaf."""
    nums = list(root.ParentTree.Nums)
    return {int(key): element for key, element in zip(nums[::2], nums[1::2], strict=True)}


def _shown(pdf: bytes) -> list[tuple[str, bytes]]:
    """What each page says and looks like (72 dpi)."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [
            (page.get_textpage().get_text_range(), bytes(page.render(scale=1, grayscale=True).buffer))
            for page in document
        ]
    finally:
        document.close()
