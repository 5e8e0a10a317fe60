"""Logos and marks: read once, checked once, drawn on every page. What could be slow, or reach outside, never gets that far."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from PIL import Image

from services.render.adapters.assets import SVG, Asset

MOST_BYTES: Final = 512 << 10
MOST_PIXELS: Final = 4_000_000
MOST_SHAPES: Final = 5_000
"""Elements of an SVG, those that `use` repeats counted as often as it does."""
_DECLARATION: Final = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_OUTSIDE: Final = re.compile(r"url\(\s*[\"']?\s*(?!#)|@import|expression\(", re.IGNORECASE)
_DRAWN: Final = {
    "svg", "g", "defs", "title", "desc", "metadata", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon",
    "use", "symbol", "linearGradient", "radialGradient", "stop", "clipPath", "mask", "style", "text", "tspan",
}  # fmt: skip
_UNSAID: Final = "http://www.w3.org/2000/svg"


class ImageWrong(ValueError):
    """The message names the file and says what is wrong with it."""


def read_image(path: Path) -> Asset:
    """An SVG, or a PNG or JPEG, that is safe to draw. Raises `ImageWrong`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ImageWrong(f"{type(error).__name__} {path.name}") from error
    if len(content) > MOST_BYTES:
        raise ImageWrong(f"{path.name} is larger than {MOST_BYTES >> 10} kB")
    if path.suffix.lower() == ".svg":
        _check_svg(path.name, content)
        return content, SVG
    return content, _raster(path.name, content)


def _raster(name: str, content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ImageWrong(f"{name} has more than {MOST_PIXELS:,} pixels")
            image.verify()
            return f"image/{str(image.format).lower()}"
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageWrong(f"{name} is no SVG, PNG or JPEG") from error


def _check_svg(name: str, content: bytes) -> None:
    if _DECLARATION.search(content):
        raise ImageWrong(f"{name} declares entities")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - no entities, and bounded
    except ElementTree.ParseError as error:
        raise ImageWrong(f"{name} is not well-formed") from error
    if root.tag != f"{{{_UNSAID}}}svg":
        raise ImageWrong(f"{name} is no SVG")
    for element in root.iter():
        _check_element(name, element)
    if _shapes(root, {each.get("id", ""): each for each in root.iter()}) > MOST_SHAPES:
        raise ImageWrong(f"{name} draws more than {MOST_SHAPES} shapes")


def _check_element(name: str, element: ElementTree.Element) -> None:
    space, _, tag = str(element.tag).rpartition("}")
    if space == f"{{{_UNSAID}" and tag not in _DRAWN:
        raise ImageWrong(f"{name} has an element that is not drawn: {tag}")
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == "href" and not value.startswith("#"):
            raise ImageWrong(f"{name} refers to something outside itself")
        if key.lower().startswith("on") or _OUTSIDE.search(value):
            raise ImageWrong(f"{name} refers to something outside itself")
    if tag == "style" and _OUTSIDE.search(element.text or ""):
        raise ImageWrong(f"{name} refers to something outside itself")


def _shapes(element: ElementTree.Element, named: dict[str, ElementTree.Element], deep: int = 0) -> int:
    """What is drawn in the end; more than enough where `use` runs in circles, or too deep to tell."""
    if deep > 50:
        return MOST_SHAPES + 1
    count = 1
    if str(element.tag).endswith("}use"):
        target = next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == "href"), "")
        if (used := named.get(target.removeprefix("#"))) is not None:
            count += _shapes(used, named, deep + 1)
    for child in element:
        count += _shapes(child, named, deep + 1)
        if count > MOST_SHAPES:
            break
    return count
