"""A row of instalments, two or three side by side."""

from __future__ import annotations

from typing import Final

from services.render.adapters.content import prefix
from services.render.adapters.modules import BAND, PAYMENT, QR_SIDE
from services.render.adapters.pen import Pen
from services.render.adapters.sheet import Band, Code

COLUMNS: Final = {2: ((10.0, 114.0), 86.0), 3: ((10.0, 77.2, 144.7), 55.0)}
"""By their number: where columns begin and how wide they are."""
_EDGE: Final = 3.1
_LABEL_LEADING, _MONO_LEADING = 9.0, 12.0
_CAPTION: Final = ((7.5, 1), (7.0, 1), (6.5, 1), (7.0, 2), (6.5, 3))


def row(pen: Pen, top: float, numbers: list[int], columns: int) -> float:
    """The instalments `numbers` from `top` downwards. Returns where the longest ends."""
    lefts, width = COLUMNS[columns]
    draw = _half if columns == 2 else _third
    ends = []
    for number, left in zip(numbers, lefts, strict=False):
        pen.put(Band(left - _EDGE, top, width + 2 * _EDGE))
        said = pen.words.said(PAYMENT + "numRata", number)
        pen.pair((left, top + 1.8, width), said, 10, look="bold", tag="h2")
        pen.put(
            Code(
                "qr",
                left + width - QR_SIDE,
                top + BAND + 1.8,
                QR_SIDE,
                f"{prefix(number)}qr",
                pen.words.ours("codiceQr"),
            )
        )
        ends.append(draw(pen, (left, top + BAND + 1.8, width), prefix(number)))
    return max(ends)


def _half(pen: Pen, at: tuple[float, float, float], slots: str) -> float:
    """Everything but the texts stands left of the QR code."""
    left, top, width = at
    room = width - QR_SIDE - 3
    end = _labelled(pen, (left, top, 30), "avviso.importoScadenza.euro", f"{slots}figures")
    if pen.shape.dated:
        _labelled(pen, (left + 33, top, room - 33), PAYMENT + "scadenza", f"{slots}due_date")
    end = _labelled(pen, (left, end + 1.2, room), PAYMENT + "avviso.breve", f"{slots}notice_code")
    end = _two_codes(pen, (left, end + 1.2, room), 33)
    return _texts(pen, (left, max(end, top + QR_SIDE) + 1.6, width), "half", ("destinatario", "enteCreditore"))


def _third(pen: Pen, at: tuple[float, float, float], slots: str) -> float:
    """Amount and date stand left of the QR code; the addressee is left out (guide, *rate multiple*)."""
    left, top, width = at
    room = width - QR_SIDE - 0.2
    end = _labelled(
        pen, (left, top, room), "avviso.importoScadenza.euro", f"{slots}figures", 9 if pen.shape.wide else 10
    )
    if pen.shape.dated:
        _labelled(pen, (left, end + 2.2, room), PAYMENT + "scadenza", f"{slots}due_date")
    end = _labelled(pen, (left, top + QR_SIDE + 1.2, width), PAYMENT + "avviso.breve", f"{slots}notice_code")
    end = _two_codes(pen, (left, end + 1.2, width), 32)
    return _texts(pen, (left, end + 1.4, width), "third", ("enteCreditore",))


def _labelled(pen: Pen, at: tuple[float, float, float], key: str, slot: str, size: float = 10) -> float:
    left, top, width = at
    end = pen.pair((left, top, width), pen.words.said(key), leading=_LABEL_LEADING)
    return pen.value((left, end, width), slot, size, look="mono bold", leading=_MONO_LEADING)


def _two_codes(pen: Pen, at: tuple[float, float, float], second: float) -> float:
    """The creditor's tax code and, `second` to the right, its CBILL code."""
    left, top, width = at
    pairs = [("codiceFiscaleEnte", "creditor_tax_code", left, second - 1)]
    if pen.shape.cbill:
        pairs.append(("cbill", "cbill", left + second, width - second))
    ends = [
        pen.pair((at_left, top, room), pen.words.said(f"{PAYMENT}{key}.breve"), leading=_LABEL_LEADING)
        for key, _, at_left, room in pairs
    ]
    for _, slot, at_left, room in pairs:
        end = pen.value((at_left, max(ends), room), slot, 10, look="mono bold", leading=_MONO_LEADING)
    return end


def _texts(pen: Pen, at: tuple[float, float, float], box: str, who: tuple[str, ...]) -> float:
    left, end, width = at
    names = {"destinatario": "name", "enteCreditore": "creditor", "oggettoDelPagamento": "subject"}
    for key in ("oggettoDelPagamento", *who):
        end = pen.pair((left, end, width), pen.words.said(PAYMENT + key), leading=_LABEL_LEADING)
        field = f"{box}_{names[key]}"
        size, _ = pen.shape.set_as(field)
        end = pen.field((left, end + 0.2, width), field, look="bold", leading=size * 1.16) + 1.0
    return pen.prose((left, end + 0.2, width), pen.words.said(PAYMENT + "istruzioni.qrCode.rate"), _CAPTION)
