"""Everything that printing needs, read and checked once at start: a worker touches no file afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.render.adapters.assets import SVG, Asset
from services.render.adapters.sandbox import check_letter, opened
from services.render.adapters.texts import load_texts
from services.render.model import Unprintable
from services.render.settings import RenderSettings
from shared.creditors import Creditor, Creditors
from shared.creditors.letters import LetterWrong, pack, read_folder
from shared.printing import creditor_problem

_IMAGES: Final = {".svg": SVG, ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
LetterKey = tuple[str, str, str]
"""Creditor, payment type and letter, by their keys in the configuration."""


class PrintingConfigurationWrong(ValueError):
    """A creditor's name, logo or letter cannot be printed; each line names the key and says what is wrong."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record may use up in a worker."""

    cpu_seconds: int
    memory_bytes: int
    html_bytes: int
    letter_pages: int


@dataclass(frozen=True, slots=True)
class Kit:
    """What a worker gets when it starts."""

    texts: dict[str, Any]
    creditors: Mapping[str, Creditor]
    logos: Mapping[str, Asset]
    letters: Mapping[LetterKey, bytes]
    """Archives of the letters' folders as they are at start, for records that were read before templates had versions."""
    rehearsal: bool
    limits: Limits


def load_kit(creditors: Creditors, settings: RenderSettings) -> Kit:
    """Raises `PrintingConfigurationWrong` or `TextsWrong`."""
    problems: list[str] = []
    logos: dict[str, Asset] = {}
    for key, creditor in creditors.creditors.items():
        if code := creditor_problem(creditor.name, *_printed_contacts(creditor)):
            problems.append(f"creditors.{key}: name or contacts cannot be printed on a notice ({code})")
        if creditor.logo is not None:
            try:
                logos[key] = creditor.logo.read_bytes(), _IMAGES[creditor.logo.suffix.lower()]
            except (OSError, KeyError) as error:
                problems.append(f"creditors.{key}.logo: {type(error).__name__} {creditor.logo.name}")
    letters = _letters(creditors, problems)
    if problems:
        raise PrintingConfigurationWrong("\n".join(problems))
    return Kit(
        texts=load_texts(settings.notice_texts),
        creditors=dict(creditors.creditors),
        logos=logos,
        letters=letters,
        rehearsal=creditors.rehearsal,
        limits=Limits(settings.cpu_seconds, settings.memory_mb << 20, settings.html_kb << 10, settings.letter_pages),
    )


def _letters(creditors: Creditors, problems: list[str]) -> dict[LetterKey, bytes]:
    found: dict[LetterKey, bytes] = {}
    for creditor_key, creditor in creditors.creditors.items():
        for type_key, payment_type in creditor.payment_types.items():
            for name, letter in payment_type.letters.items():
                where = f"creditors.{creditor_key}.payment_types.{type_key}.letters.{name}"
                try:
                    archive = pack(read_folder(letter.template))
                    check_letter(opened(name, archive))
                except Unprintable as wrong:
                    problems.append(f"{where}: {wrong.code}: {wrong.detail}")
                except LetterWrong as wrong:
                    problems.append(f"{where}.template: {wrong}")
                except OSError as error:
                    problems.append(f"{where}.template: {type(error).__name__} {letter.template.name}")
                else:
                    found[creditor_key, type_key, name] = archive
    return found


def _printed_contacts(creditor: Creditor) -> tuple[str, str]:
    contacts = creditor.contacts
    return contacts.office, " · ".join(part for part in (contacts.phone, contacts.email, contacts.website) if part)
