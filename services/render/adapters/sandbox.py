"""What a letter's template may do: it is a program of somebody else's, and sees plain strings and nothing more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.render.adapters.assets import Asset
from services.render.model import RECORD_VARIABLES, Unprintable, variable
from shared.creditors.letters import MANIFEST, PAGE, STYLE, TYPES, LetterWrong, Stamp, manifest_of, unpack


@dataclass(frozen=True, slots=True)
class LetterTemplate:
    """A version of a letter's folder, and the name that its administrator knows it by."""

    name: str
    version: str
    page: str
    style: str
    columns: tuple[str, ...]
    language: str = "it"
    stamp: Stamp | None = None
    assets: Mapping[str, Asset] = field(default_factory=dict, hash=False)

    @property
    def variables(self) -> dict[str, str]:
        """Its own variables, each with the heading that it stands for."""
        return {variable(heading): heading for heading in self.columns}


def opened(name: str, archive: bytes) -> LetterTemplate:
    """The template in an archive of its folder. Raises `Unprintable`."""
    try:
        files = unpack(archive)
        manifest = manifest_of(files)
        page, style = files[PAGE].decode(), files.get(STYLE, b"").decode()
    except LetterWrong as wrong:
        raise broken(name, str(wrong)) from wrong
    except UnicodeDecodeError as error:
        raise broken(name, "pagina o stili non sono scritti in UTF-8") from error
    shown = files.keys() - {MANIFEST, PAGE, STYLE}
    return LetterTemplate(
        name, hashlib.sha256(archive).hexdigest(), page, style, tuple(manifest.columns), manifest.language,
        manifest.stamp, {each: (files[each], TYPES[PurePosixPath(each).suffix]) for each in shown},
    )  # fmt: skip


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


def unsafe(name: str, reference: str = "") -> Unprintable:
    """It reached for what it may not have: for `reference`, where the template spells it so."""
    what = f" («{reference[:100]}»)" if reference else ""
    return Unprintable(
        "letter-template-unsafe",
        f"Il modello di lettera «{name}» cerca di leggere file, siti o dati interni{what}: va corretto da chi lo gestisce.",
    )


def broken(name: str, why: str) -> Unprintable:
    """It cannot be understood."""
    return Unprintable("letter-template-broken", f"Il modello di lettera «{name}» ha un errore: {why}.")


def check_letter(letter: LetterTemplate) -> set[str]:
    """The variables that a template names. Raises `Unprintable` for a template that could never be printed."""
    sandbox = environment()
    try:
        tree = sandbox.parse(letter.page)
        named = _named(sandbox, tree)
    except TemplateSyntaxError as error:
        raise broken(
            letter.name, f"{PAGE}, riga {error.lineno}, sintassi non valida (Jinja2: {error.message})"
        ) from error
    except RecursionError as error:
        raise broken(letter.name, "è annidato troppo in profondità") from error
    if next(meta.find_referenced_templates(tree), "") != "":
        raise unsafe(letter.name)
    clash = sorted(letter.variables.keys() & set(RECORD_VARIABLES))
    if clash:
        raise broken(letter.name, f"la colonna «{letter.variables[clash[0]]}» ha il nome di un dato dell’avviso")
    unknown = sorted(named - letter.variables.keys() - set(RECORD_VARIABLES))
    if unknown:
        names = ", ".join(f"«{each}» ({PAGE}, riga {_line_of(tree, each)})" for each in unknown)
        raise Unprintable(
            "letter-variable-unknown",
            f"Il modello di lettera «{letter.name}» usa {names}: non è un dato dell’avviso né una colonna di {MANIFEST}.",
        )
    return named


def line_in_page(error: BaseException) -> int | None:
    """The line of the page on which a running template failed."""
    line, frame = None, error.__traceback__
    while isinstance(frame, TracebackType):
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _line_of(tree: nodes.Template, name: str) -> int:
    return min((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), default=1)


def _named(sandbox: ImmutableSandboxedEnvironment, tree: nodes.Template) -> set[str]:
    """`meta.find_undeclared_variables`, which works out constants on its way, without that."""
    tracking = meta.TrackingCodeGenerator(sandbox)
    tracking.optimizer = None
    tracking.visit(tree)
    return tracking.undeclared_identifiers
