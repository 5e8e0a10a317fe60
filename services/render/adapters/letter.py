"""The letter: an administrator's template, which is not trusted. It sees plain strings and our assets, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration

from services.render.adapters.assets import BASE_URL, EMPTY, Asset, Assets, Forbidden, template, watermark
from services.render.model import RECORD_VARIABLES, Unprintable, variable

PDF_VARIANT: Final = "pdf/a-3a"


@dataclass(frozen=True, slots=True)
class LetterTemplate:
    """A template's text, the name that its administrator knows it by, and the spreadsheet columns that it declares."""

    name: str
    source: str
    columns: tuple[str, ...]

    @property
    def variables(self) -> dict[str, str]:
        """Its own variables, each with the heading that it stands for."""
        return {variable(heading): heading for heading in self.columns}


@pass_context
def _as_it_is(_context: Context, value: object) -> object:
    """What depends on the context cannot be worked out while a template is compiled. Jinja would: `{{ 9**9**9 }}` then
    never ends where letters are only checked, outside the limits of a worker."""
    return value


def environment() -> ImmutableSandboxedEnvironment:
    """The sandbox: no loader, and none of Jinja's global functions (they are what the known escapes start from)."""
    sandbox = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, optimized=False, finalize=_as_it_is
    )
    sandbox.globals.clear()
    return sandbox


def unsafe(letter: LetterTemplate) -> Unprintable:
    """It reached for what it may not have."""
    return Unprintable(
        "letter-template-unsafe",
        f"Il modello di lettera «{letter.name}» cerca di leggere file, siti o dati interni: va corretto da chi lo gestisce.",
    )


def broken(letter: LetterTemplate, why: str) -> Unprintable:
    """It cannot be understood."""
    return Unprintable("letter-template-broken", f"Il modello di lettera «{letter.name}» ha un errore: {why}.")


def check_letter(letter: LetterTemplate) -> set[str]:
    """The variables that a template names. Raises `Unprintable` for a template that could never be printed."""
    sandbox = environment()
    try:
        tree = sandbox.parse(letter.source)
        named = _named(sandbox, tree)
    except TemplateSyntaxError as error:
        raise broken(letter, f"riga {error.lineno}, sintassi non valida") from error
    except RecursionError as error:
        raise broken(letter, "è annidato troppo in profondità") from error
    if next(meta.find_referenced_templates(tree), "") != "":
        raise unsafe(letter)
    clash = sorted(letter.variables.keys() & set(RECORD_VARIABLES))
    if clash:
        raise broken(letter, f"la colonna «{letter.variables[clash[0]]}» ha il nome di un dato dell’avviso")
    unknown = sorted(named - letter.variables.keys() - set(RECORD_VARIABLES))
    if unknown:
        raise Unprintable(
            "letter-variable-unknown",
            f"Il modello di lettera «{letter.name}» usa «{unknown[0]}», che non è un dato dell’avviso né una sua colonna.",
        )
    return named


def _named(sandbox: ImmutableSandboxedEnvironment, tree: nodes.Template) -> set[str]:
    """`meta.find_undeclared_variables`, which works out constants on its way, without that."""
    tracking = meta.TrackingCodeGenerator(sandbox)
    tracking.optimizer = None
    tracking.visit(tree)
    return tracking.undeclared_identifiers


class LetterPress:
    """Makes letters; keeps fonts and style sheets for the life of the process."""

    def __init__(self, html_bytes: int, pages: int) -> None:
        self._html_bytes, self._pages = html_bytes, pages
        self._fonts = FontConfiguration()
        self._known: dict[LetterTemplate, tuple[Template, set[str]]] = {}
        fetcher = Assets()
        self._styles = [
            CSS(string=template(name), font_config=self._fonts, url_fetcher=fetcher, base_url=BASE_URL)
            for name in ("fonts.css", "letter.css")
        ]

    def pdf(self, letter: LetterTemplate, values: Mapping[str, str], logo: Asset | None, *, facsimile: bool) -> bytes:
        """The finished letter. Raises `Unprintable` whatever the template does, short of taking the process down."""
        compiled, named = self._compiled(letter)
        missing = sorted(named - values.keys())
        if missing:
            heading = letter.variables.get(missing[0], missing[0])
            raise Unprintable(
                "letter-variable-missing",
                f"La lettera chiede la colonna «{heading}», che il foglio non ha: aggiungerla e caricarlo di nuovo.",
            )
        assets = Assets(logo=logo or EMPTY)
        try:
            page = self._html(compiled, values) + (str(watermark()) if facsimile else "")
            return self._pdf(letter, page, assets)
        except Unprintable:
            raise
        except (Forbidden, SecurityError) as error:
            raise unsafe(letter) from error
        except MemoryError as error:
            raise Unprintable(
                "letter-too-large", f"La lettera «{letter.name}» produce un testo troppo grande."
            ) from error
        except Exception as error:  # whatever a template makes the libraries raise is the template's fault
            raise unsafe(letter) if assets.refused else broken(letter, type(error).__name__) from error

    def _pdf(self, letter: LetterTemplate, page: str, assets: Assets) -> bytes:
        document = HTML(string=page, url_fetcher=assets, base_url=BASE_URL).render(
            stylesheets=self._styles, font_config=self._fonts, pdf_variant=PDF_VARIANT, pdf_tags=True
        )
        count = len(document.pages)
        if count > self._pages:
            raise Unprintable(
                "letter-too-long", f"La lettera «{letter.name}» è di {count} pagine: al massimo {self._pages}."
            )
        pdf: bytes = document.write_pdf(pdf_variant=PDF_VARIANT, pdf_tags=True)
        if assets.refused:
            raise unsafe(letter)
        return pdf

    def _compiled(self, letter: LetterTemplate) -> tuple[Template, set[str]]:
        if letter not in self._known:
            named = check_letter(letter)
            try:
                self._known[letter] = environment().from_string(letter.source), named
            except (TemplateError, RecursionError, SyntaxError, MemoryError) as error:
                raise broken(letter, type(error).__name__) from error
        return self._known[letter]

    def _html(self, compiled: Template, values: Mapping[str, str]) -> str:
        pieces, size = [], 0
        for piece in compiled.generate(values):
            size += len(piece)
            if size > self._html_bytes:
                raise MemoryError
            pieces.append(piece)
        return "".join(pieces)
