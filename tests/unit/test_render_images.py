"""A logo is drawn on every notice: one that is slow, or reaches outside, is told at start."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from services.render.adapters.images import MOST_BYTES, ImageWrong, read_image

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'
BOMB = "<g id='a0'><rect width='1' height='1'/></g>" + "".join(
    f"<g id='a{n}'>" + f"<use xlink:href='#a{n - 1}'/>" * 10 + "</g>" for n in range(1, 8)
)


def read(folder: Path, name: str, content: str | bytes) -> tuple[bytes, str]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_image(path)


def png(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("1", (width, height)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    "inside",
    [
        "<rect width='4' height='4' fill='url(#g)'/>",
        "<defs><g id='a'><path d='M0 0h4'/></g></defs><use xlink:href='#a'/><use href='#a'/>",
        "<style>.a { fill: #06c; clip-path: url(#c) }</style><title>Comune</title>",
    ],
)
def test_what_a_drawing_program_writes_is_read(tmp_path: Path, inside: str) -> None:
    assert read(tmp_path, "logo.svg", SVG.format(inside))[1] == "image/svg+xml"


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<script>1</script>", "not drawn: script"),
        ("<image href='file:///etc/passwd'/>", "not drawn: image"),
        ("<foreignObject/>", "not drawn: foreignObject"),
        ("<use href='http://example.org/a.svg#b'/>", "outside itself"),
        ("<use xlink:href='file:///etc/passwd#b'/>", "outside itself"),
        ("<rect fill='url(http://example.org/x)'/>", "outside itself"),
        ("<style>@import 'http://example.org/x.css';</style>", "outside itself"),
        ("<rect style='fill: url(  \"file:///x\")'/>", "outside itself"),
        ("<rect onload='x()'/>", "outside itself"),
        (BOMB, "more than 5000 shapes"),
        ("<g id='a'><use href='#a'/></g>", "more than 5000 shapes"),
        ("<g>" * 80 + "</g>" * 80, "more than 5000 shapes"),
        ("<path d='M0 0h4'/>" * 5_001, "more than 5000 shapes"),
        ("<g>", "not well-formed"),
    ],
)
def test_what_reaches_outside_or_never_ends_is_refused(tmp_path: Path, inside: str, told: str) -> None:
    with pytest.raises(ImageWrong, match=told):
        read(tmp_path, "logo.svg", SVG.format(inside))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('<!DOCTYPE svg [<!ENTITY a "a">]>' + SVG.format("&a;"), "declares entities"),
        ("<html/>", "is no SVG"),
        (SVG.format("<!-- " + "x" * MOST_BYTES + " -->"), "larger than 512 kB"),
    ],
)
def test_what_is_no_plain_drawing_is_refused(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(ImageWrong, match=told):
        read(tmp_path, "logo.svg", content)


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_what_it_is_whatever_its_name(tmp_path: Path, kind: str, media_type: str) -> None:
    assert read(tmp_path, "logo.png", png(30, 30, kind))[1] == media_type


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"GIF89a", "no SVG, PNG or JPEG"), (png(3_000, 3_000), "pixels"), (png(30, 30)[:40], "no SVG, PNG or JPEG")],
)
def test_a_picture_that_is_too_large_or_broken_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(ImageWrong, match=told):
        read(tmp_path, "logo.png", content)


def test_a_missing_file_is_told_by_its_name_alone(tmp_path: Path) -> None:
    with pytest.raises(ImageWrong, match=r"^FileNotFoundError logo\.svg$"):
        read_image(tmp_path / "logo.svg")
