"""The kinds of value in the creditors' file: patterns, check digits, files that must be there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo
from stdnum import iban as stdnum_iban
from stdnum.it import iva

from shared.creditors.letters import manifest_of, read_folder


def _iban(value: str) -> str:
    if not stdnum_iban.is_valid(value):
        raise ValueError("le cifre di controllo dell'IBAN non tornano: ricopiarlo dal conto di tesoreria")
    return value


def _tax_code(value: str) -> str:
    if not iva.is_valid(value):
        raise ValueError("la cifra di controllo del codice fiscale dell'ente non torna: ricopiarlo da indicepa.gov.it")
    return value


def _located(value: Path, info: ValidationInfo) -> Path:
    """Absolute and there, where the loader says which folder the file lies in."""
    if info.context is None:
        return value
    path = Path(info.context) / value
    if not path.is_file():
        raise ValueError(f"il file {path} non c'è")
    return path


def _template(value: Path, info: ValidationInfo) -> Path:
    """A letter template that can be read, where the loader says which folder the file lies in."""
    if info.context is None:
        return value
    path = Path(info.context) / value
    try:
        manifest_of(read_folder(path))
    except OSError as error:
        raise ValueError(f"il modello {path} non si può leggere") from error
    return path


def _spoken(value: list[str]) -> list[str]:
    if len(value) == 2 and (value[0] != "it" or value[1] == "it"):
        raise ValueError('due lingue sono l\'italiano e, dopo, un\'altra: ["it", "de"]')
    return value


# The key of a table ends up in lanes, queue and file names.
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Iban = Annotated[str, Field(pattern=r"^IT[0-9]{2}[A-Z][0-9]{10}[0-9A-Z]{12}$"), AfterValidator(_iban)]
PostalIban = Annotated[str, Field(pattern=r"^IT[0-9]{2}[A-Z]07601[0-9]{17}$"), AfterValidator(_iban)]
TaxCode = Annotated[str, Field(pattern=r"^[0-9]{11}$"), AfterValidator(_tax_code)]
Located = Annotated[Path, AfterValidator(_located)]
TemplateFolder = Annotated[Path, AfterValidator(_template)]
SecretReference = Annotated[str, Field(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|rehearsal:.+)$")]
"""`env:NAME`, `file:/path`, or `rehearsal:VALUE`, which only a rehearsal file may hold. Never a secret itself."""
# No line breaks and no separators of a header, an address list or a segnatura.
MailAddress = Annotated[str, Field(pattern=r"^[^\s@<>,;:()\[\]\\\"]+@[A-Za-z0-9.-]+$")]
OneLine = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]


Language = Literal["it", "en", "de", "sl", "fr"]
"""Those that pagoPA has official texts for."""
Languages = Annotated[list[Language], Field(max_length=2), AfterValidator(_spoken)]
"""Of the notice: one, or Italian and a second, which is printed in grey."""
