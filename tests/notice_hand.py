"""Records, creditors and sheets for tests of the notice in all its variants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from services.render.adapters.content import Notice, notice_of
from services.render.adapters.layout import lay_out
from services.render.adapters.sheet import Sheet
from services.render.adapters.texts import Words, load_slip_words, load_words
from shared.contracts.record import Address, Debtor, Record
from shared.creditors import Creditor, load_creditors
from shared.creditors.models import Postal
from tests.builders import a_record_in_instalments, a_rendered_record

ROOT = Path(__file__).resolve().parents[1]
OFFICIAL_TEXTS = ROOT.parent / "shared" / "specs" / "notice-texts"
POSTAL = Postal(
    iban="IT56A0760103200000016302093",
    holder="Comune di Borgo Esempio",
    authorisation="AUT. DB/0001/XXX 12345 DEL 01/02/2026",
)
LANGUAGES = [("it",), ("en",), ("de",), ("sl",), ("fr",), ("it", "en"), ("it", "de"), ("it", "sl"), ("it", "fr")]
COUNTS = [0, *range(2, 13)]
HOME = Address(street="Via Garibaldi", number="12/B", postal_code="00000", city="Borgo Esempio", province="BE")
WIDEST = Debtor(
    name="ASSOCIAZIONE SPORTIVA DILETTANTISTICA POLISPORTIVA BORGO ESEMPIO 1921!"[:70],
    fiscal_code="99999000997",
    address=Address(
        street="Strada Vicinale del Santissimo Crocifisso di San Martino in Campo",
        number="123/bis scala B int. 14",
        postal_code="00000",
        city="San Giovanni in Persiceto sul Naviglio",
        province="BE",
    ),
)
LONGEST_REASON = ("SERVIZIO DI TRASPORTO SCOLASTICO ANNO 2026/2027 - SECONDA RATA - ALUNNO ISCRITTO ALLA SCUOLA " * 2)[
    :140
]
MOST = 9_999_999_999


@dataclass(frozen=True)
class Variant:
    """One notice of the many."""

    languages: tuple[str, ...] = ("it",)
    instalments: int = 0
    slips: bool = False
    in_full: bool = True
    dated: bool = True
    long: bool = False

    def creditor(self) -> Creditor:
        """The example's, speaking the languages, with a postal account where there are slips."""
        wanted = {"languages": list(self.languages), "postal": POSTAL if self.slips else None}
        return _example().model_copy(update=wanted)

    def record(self, **parts: Any) -> Record:
        """What it is printed from."""
        if self.instalments:
            record = a_record_in_instalments(self.instalments, in_full=self.in_full)
        else:
            record = a_rendered_record()
        payment: dict[str, Any] = {"due_date_printed": self.dated}
        if self.long:
            due = [each.model_copy(update={"amount_cents": MOST - each.number}) for each in record.payment.instalments]
            payment |= {"amount_cents": MOST, "reason": LONGEST_REASON, "instalments": due}
        debtor = WIDEST if self.long else record.debtor.model_copy(update={"address": HOME})
        changed = {"payment": record.payment.model_copy(update=payment), "debtor": debtor}
        return record.model_copy(update=changed | parts)

    def notice(self) -> Notice:
        """Its values and its shape."""
        return notice_of(self.record(), self.creditor(), logo=True)

    def sheet(self, texts: Path | None = None) -> Sheet:
        """Where everything stands."""
        return lay_out(self.notice().shape, words(texts, self.languages), load_slip_words(), frozenset())

    def __str__(self) -> str:
        kinds = (f"{self.instalments}", "slips" * self.slips, "" if self.in_full else "solo", "long" * self.long)
        return "-".join(filter(None, (*self.languages, *kinds, "" if self.dated else "undated")))


VARIANTS = [
    Variant(),
    Variant(slips=True),
    Variant(long=True, slips=True),
    Variant(dated=False),
    Variant(("en",), slips=True),
    Variant(("de",), instalments=2),
    Variant(("sl",), instalments=3),
    Variant(("fr",), dated=False),
    Variant(("it", "de"), slips=True),
    Variant(("it", "fr"), instalments=3, slips=True, long=True),
    Variant(instalments=2),
    Variant(instalments=3, long=True),
    Variant(instalments=4, in_full=False),
    Variant(instalments=5, slips=True),
    Variant(instalments=7, in_full=False, slips=True),
    Variant(instalments=9),
    Variant(instalments=12, slips=True),
]
"""One of each kind."""


def variants(*languages: tuple[str, ...], long: tuple[bool, ...] = (False, True)) -> list[Variant]:
    """All that there are in these languages."""
    every = product(languages, COUNTS, (False, True), (True, False), (True, False), long)
    return [Variant(*each) for each in every if each[1] or each[3]]


@cache
def words(texts: Path | None, languages: tuple[str, ...]) -> Words:
    """The wording, read once."""
    return load_words(texts, languages)


@cache
def _example() -> Creditor:
    return load_creditors(ROOT / "deploy/examples/creditors.toml").creditors["c_x999"]
