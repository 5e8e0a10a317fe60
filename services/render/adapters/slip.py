"""The postal slip (*bollettino postale PA*), in Italian whatever the notice is.

Poste's manual for printing one's own slips was not at hand: what stands where is that of the official sample.
"""

from __future__ import annotations

from typing import Final

from services.render.adapters.modules import BAND, DATA, DATE, amount
from services.render.adapters.pen import Pen
from services.render.adapters.sheet import LEFT, RIGHT, Band, Code, Picture
from shared.printing import POINTS_PER_MM, width_of

FULL, DENSE = 63.0, 49.0
"""How high a slip is, alone and where several stand below one another."""
MATRIX_SIDE: Final = 23.0
"""In a box of 25 mm, like the official sample's."""
_VALUES: Final = 78.0
_TYPE: Final = "P1"


def slip(pen: Pen, top: float, prefix: str, label: str, *, dense: bool) -> float:
    """From `top` downwards; returns where it ends. `label`: *Rata unica*, *Rata 3*."""
    pen.put(Picture("scissors.svg", 195, top - 4.4, 4.2, 4.2))
    pen.put(Band(0, top, 210))
    _title(pen, top, prefix, label)
    start = top + (BAND + 2.2 if dense else BAND + 4.6)
    left_end = _marks(pen, start, dense=dense)
    pen.put(*_euro(start))
    pen.say((DATA + 9, start, 14), pen.slip["conto"], 10, leading=16)
    x = DATA + 10 + width_of(pen.slip["conto"], "regular", 10)
    pen.value((x, start, 60), "account", 12, look="mono bold", leading=16)
    amount(pen, start, f"{prefix}slip_figures", pen.slip["euro"])
    end = start + (8.4 if dense else 12.2)
    for key, field in (("intestato", "slip_holder"), ("destinatario", "slip_name"), ("oggetto", "slip_subject")):
        pen.say((DATA, end, 30), pen.slip[key])
        end = pen.field((_VALUES, end, 93), field, look="bold") + (0.6 if dense else 2.0)
    end = _codes(pen, end + (1.2 if dense else 3.4), prefix)
    matrix = start + (10.2 if dense else 16.2)
    pen.put(Picture("corners.svg", 174.4, matrix - 2.6, 28.2, 28.2))
    pen.put(Code("matrix", 177.0, matrix, MATRIX_SIDE, f"{prefix}matrix", pen.slip["codice"]))
    return max(left_end, end, matrix + MATRIX_SIDE + 2.6)


def _title(pen: Pen, top: float, prefix: str, label: str) -> None:
    high = BAND * POINTS_PER_MM
    pen.say((LEFT, top, 48), pen.slip["titolo"], 10, look="bold upper", tag="h2", leading=high)
    if "bancoposta" in pen.marks:
        pen.put(Picture("mark-bancoposta", DATA, top + 2.2, 20, 3.6, "BancoPosta"))
    else:
        pen.say((DATA, top, 30), "BancoPosta", 10, leading=high)
    right = RIGHT
    if pen.shape.dated:
        pen.value((right - DATE, top, DATE), f"{prefix}due_date", 10, look="bold right", leading=high)
        right -= DATE + 0.8
        label = f"{label} {pen.slip['scadenza']}"
    pen.say((right - 60, top, 60), label, 10, look="bold right", leading=high)


def _marks(pen: Pen, top: float, *, dense: bool) -> float:
    if "poste" in pen.marks:
        pen.put(Picture("mark-poste", LEFT, top + 0.6, 38.6, 5, "Poste Italiane"))
    else:
        pen.say((LEFT, top, 46), "Poste Italiane", 13, look="bold", leading=16)
    end = top + (7.2 if dense else 11.2)
    if "bollettino" in pen.marks:
        pen.put(Picture("mark-bollettino", LEFT, end, 32, 8 if dense else 12.6, "Circuito bollettino postale"))
    else:
        pen.say((LEFT, end, 46), "circuito bollettino postale", look="grey")
    end += 8.8 if dense else 15.4
    end = pen.prose((LEFT, end, 44), (pen.slip["nota"],), ((8, 4), (7, 5)))
    return pen.field((LEFT, end + (0.6 if dense else 3.0), 48), "authorisation", look="grey-70")


def _euro(top: float) -> tuple[Picture]:
    return (Picture("euro.svg", DATA, top - 0.9, 7.6, 7.6),)


def _codes(pen: Pen, top: float, prefix: str) -> float:
    places = (
        (DATA, 52.0, "avviso", f"{prefix}notice_code", ""),
        (130.0, 38.5, "ente", "creditor_tax_code", " right"),
    )
    for left, width, key, slot, right in places:
        end = pen.say((left, top, width), pen.slip[key], look=right.strip())
        bottom = pen.value((left, end + 0.4, width), slot, 10, look=f"mono bold{right}", leading=14)
    end = pen.say((115.8, top, 12), pen.slip["tipo"])
    pen.say((115.8, end + 0.4, 12), _TYPE, 10, look="mono bold", leading=14)
    return bottom
