"""The modules of the notice, in the order and at the measures of the guide 3.5 (and of its official samples).

Each draws itself from `top` downwards and returns where it ends, so that long texts push down what follows.
"""

from __future__ import annotations

from typing import Final

from services.render.adapters.pen import LABEL, MONO_EM, Pen
from services.render.adapters.sheet import LEFT, RIGHT, Band, Code, Picture
from shared.printing import POINTS_PER_MM, width_of

BAND: Final = 8.0
OTHER: Final = 114.0
"""Where the second of two columns begins."""
DATA: Final = 59.0
"""Where the text beside the QR code begins."""
QR_SIDE: Final = 25.0
DATE: Final = width_of("00/00/0000", "bold", 10) + 0.05
"""All dates of a size are of one width: figures are."""
PAYMENT: Final = "avviso.datiPagamento."
_HOW_MUCH: Final = "avviso.importoScadenza."
_WHERE: Final = "avviso.dovePagare."
_PROSE: Final = ((8.0, 3), (7.5, 4), (7.0, 5))


def header(pen: Pen) -> None:
    """On every page: whose circuit it is, what it is, what for, and whose arms."""
    title = pen.words.said("avviso.intestazione.titolo")
    if "pagopa" in pen.marks:
        pen.put(Picture("mark-pagopa", LEFT, 9.9, 15.5, 10.3, "pagoPA"))
        pen.pair((29, 9.9, 135), title, 10, look="bold upper")
    else:
        pen.say((LEFT, 8.8, 22), "pagoPA", 17, look="wordmark")
        pen.pair((33, 9.9, 131), title, 10, look="bold upper")
    if pen.shape.logo:
        pen.put(Picture("logo", 170, 10, 30, 30, pen.words.ours("logo")))
    _, lines = pen.shape.set_as("subject")
    pen.field((LEFT, 23.7 if lines < 3 else 20.4, 150), "subject", look="bold", tag="h1")


def parties(pen: Pen, top: float) -> float:
    """Who asks, and whom."""
    pen.put(Band(0, top, 104), Band(106, top, 104))
    _band_title(pen, (LEFT, top, 60), pen.words.said("avviso.infoEnteCreditore.titolo"))
    _tax_code(pen, (72, top, 28), "creditor_tax_code")
    _set_name(pen, (LEFT, top, 91), "creditor")
    pen.field((LEFT, top + 26, 91), "office")
    _, lines = pen.shape.set_as("contacts")
    pen.field((LEFT, top + {3: 34.8, 2: 36.0}.get(lines, 37.6), 91), "contacts")
    _band_title(pen, (OTHER, top, 50), pen.words.said("avviso.infoDestinatario.titolo"))
    _tax_code(pen, (172, top, 28), "fiscal_code")
    _set_name(pen, (OTHER, top, 86), "name")
    pen.field((OTHER, top + 26, 86), "address")
    return top + 46


def _set_name(pen: Pen, at: tuple[float, float, float], field: str) -> None:
    left, top, width = at
    _, lines = pen.shape.set_as(field)
    pen.field((left, top + (13.4 if lines < 3 else 11.3), width), field, look="bold")


def _tax_code(pen: Pen, at: tuple[float, float, float], slot: str) -> None:
    pen.value(at, slot, LABEL, look="mono right", leading=BAND * POINTS_PER_MM)


def how(pen: Pen, top: float) -> float:
    """How much and when, where and how."""
    pen.put(Band(0, top, 104), Band(106, top, 104))
    ends = _how_much(pen, top), _where(pen, top)
    return max(top + 51, *(end + 3.4 for end in ends))


def _how_much(pen: Pen, top: float) -> float:
    words, shape = pen.words, pen.shape
    undated = tuple(texts["staffetta.senzaScadenza"] for texts in words.texts)
    _band_title(pen, (LEFT, top, 90), words.said(_HOW_MUCH + "titolo") if shape.dated else undated)
    pen.pair((LEFT, top + 13.4, 56), words.said(_HOW_MUCH + "importo.importo"), look="bold")
    pen.field((LEFT, top + 17.2, 56), "sum", look="bold", leading=20)
    if shape.dated and shape.full:
        pen.pair((69.4, top + 13.4, 31), words.said(_HOW_MUCH + "scadenza.scadenza"), look="bold")
        pen.value((69.4, top + 17.2, 31), "due_date", 16, look="bold", leading=20)
    end = top + 25.1
    rates = _HOW_MUCH + "disclaimer.rate."
    if shape.instalments:
        said = words.said(rates + ("rate" if shape.full else "soloRate"), shape.instalments)
        end = _note(pen, end, said)
    if shape.instalments and not shape.full:
        end = pen.prose((16, end, 84), words.said(rates + "molteRate"), _PROSE)
    return _note(pen, end, words.said(_HOW_MUCH + "disclaimer.legal"))


def _note(pen: Pen, top: float, said: tuple[str, ...]) -> float:
    pen.put(Picture("info.svg", LEFT, top + 2.2, 4, 4))
    return pen.prose((16, top + 2.3, 84), said, _PROSE)


def _where(pen: Pen, top: float) -> float:
    words = pen.words
    _band_title(pen, (OTHER, top, 48), words.said(_WHERE + "titolo"))
    _address_of_the_site(pen, top, words.said(_WHERE + "cta"))
    end = top + 9.6
    for place, icon in (("online", "online.svg"), ("territorio", "places.svg")):
        text = "online.descrizione.noEnte" if place == "online" else "territorio.descrizione"
        pen.put(Picture(icon, 188, end + 4.4, 12, 12))
        end = pen.pair((OTHER, end + 3.4, 69), words.place(f"{place}.titolo"), 10, look="bold upper", tag="h3")
        end = pen.prose((OTHER, end + 0.5, 69), words.place(text), _PROSE)
    return end


def _address_of_the_site(pen: Pen, top: float, said: tuple[str, ...]) -> None:
    """At the right end of its band; the site itself is bold."""
    site, right = "pagopa.gov.it", RIGHT
    text = said[0]
    leading = BAND * POINTS_PER_MM
    if text.endswith(site):
        pen.say((right - 40, top, 40), site, 10, look="bold right", leading=leading)
        right -= width_of(site, "bold", 10) + 0.8
        text = text.removesuffix(site).strip()
    pen.say((right - 40, top, 40), text, LABEL, look="right", leading=leading)


def _band_title(pen: Pen, at: tuple[float, float, float], said: tuple[str, ...], look: str = "bold upper") -> None:
    """The title of a band; in the second language below it."""
    left, top, width = at
    first, *second = said
    if not second or second[0] == first:
        pen.say((left, top, width), first, 10, look=look, tag="h2", leading=BAND * POINTS_PER_MM)
        return
    right = " right" if "right" in look else ""
    pen.say((left, top + 0.5, width), first, 10, look=look, tag="h2", leading=12)
    pen.say((left, top + 4.5, width), second[0], 7, look=f"grey{right}", lang=pen.words.languages[1], leading=8)


def data_title(pen: Pen, top: float) -> float:
    """The band alone, above instalments that begin on the first page."""
    pen.put(Band(0, top, 210))
    _band_title(pen, (LEFT, top, 85), pen.words.said(PAYMENT + "titolo"))
    return top + BAND


def data(pen: Pen, top: float, prefix: str, label: tuple[str, ...]) -> float:
    """One thing to pay, over the whole width. `prefix`: of its slots; `label`: what it is, in each language."""
    words = pen.words
    data_title(pen, top)
    _due(pen, top, prefix, label)
    start = top + 13.5
    pen.put(Code("qr", LEFT, start, QR_SIDE, f"{prefix}qr", pen.words.ours("codiceQr")))
    left_end = pen.prose(
        (LEFT, start + 29.6, 44), words.said(PAYMENT + "istruzioni.qrCode.rataUnica"), ((8, 3), (7.5, 4))
    )
    amount(pen, start + 0.4, f"{prefix}figures", words.said(_HOW_MUCH + "euro")[0])
    end = start - 2.0
    for key, field in (("destinatario", "name"), ("enteCreditore", "creditor"), ("oggettoDelPagamento", "subject")):
        end = pen.pair((DATA, end + 2.0, 92), words.said(PAYMENT + key))
        end = pen.field((DATA, end + 0.1, 96), f"data_{field}", look="bold")
    return max(left_end, _codes(pen, max(end + 2.0, start + 29.9), prefix))


def _due(pen: Pen, top: float, prefix: str, label: tuple[str, ...]) -> None:
    """`Rata unica entro il 31/12/2026`, at the right end of the band."""
    right = RIGHT
    if pen.shape.dated:
        by = pen.words.said(PAYMENT + "scadenza")
        label = tuple(f"{what} {until}" for what, until in zip(label, by, strict=True))
        bilingual = len(label) > 1
        at = (right - DATE, top + 0.5 if bilingual else top, DATE)
        pen.value(at, f"{prefix}due_date", 10, look="bold right", leading=12 if bilingual else BAND * POINTS_PER_MM)
        right -= DATE + 0.8
    _band_title(pen, (right - 80, top, 80), label, "bold right")


def amount(pen: Pen, top: float, slot: str, euro: str) -> None:
    """`Euro 1.234,56`, against the right margin."""
    width = pen.shape.length(slot) * 12 * MONO_EM / POINTS_PER_MM
    pen.say((RIGHT - width - 21.2, top, 20), euro, 10, look="right", leading=16)
    pen.value((RIGHT - width - 1, top, width + 1), slot, 12, look="mono bold right", leading=16)


def _codes(pen: Pen, top: float, prefix: str) -> float:
    """What to type in, in a row."""
    words = pen.words
    places = [(DATA, 33.0, "cbill", "cbill", "")] if pen.shape.cbill else []
    places.append((94.0 if pen.shape.cbill else DATA, 55.0, "avviso", f"{prefix}notice_code", ""))
    places.append((150.0, 50.0, "codiceFiscaleEnte", "creditor_tax_code", " right"))
    labels = [words.said(f"{PAYMENT}{key}.esteso") for _, _, key, _, _ in places]
    end = top
    for (left, width, _, _, right), said in zip(places, labels, strict=True):
        end = max(end, *(bottom for bottom in _stack(pen, (left, top, width), said, right)))
    for left, width, _, slot, right in places:
        bottom = pen.value((left, end + 0.9, width), slot, 10, look=f"mono bold{right}", leading=14)
    return bottom


def _stack(pen: Pen, at: tuple[float, float, float], said: tuple[str, ...], right: str) -> list[float]:
    left, top, width = at
    ends = [pen.say((left, top, width), said[0], look=right.strip())]
    if len(said) > 1 and said[1] != said[0]:
        ends.append(pen.say((left, ends[0], width), said[1], 7, look=f"grey{right}", lang=pen.words.languages[1]))
    return ends
