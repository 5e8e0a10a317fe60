"""Everything that printing needs, read and checked once at start: a worker touches no file afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.render.adapters.assets import Asset
from services.render.adapters.images import ImageWrong, read_image
from services.render.adapters.sandbox import check_letter, opened
from services.render.adapters.texts import Words, load_slip_words, load_words
from services.render.model import Unprintable
from services.render.settings import RenderSettings
from shared.creditors import Creditor, Creditors
from shared.creditors.letters import LetterWrong, pack, read_folder
from shared.printing import creditor_problem, postal_problem

MARKS: Final = ("pagopa", "poste", "bancoposta", "bollettino")
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

    words: Mapping[tuple[str, ...], Words]
    """By the languages of a notice."""
    slip_words: dict[str, str]
    marks: Mapping[str, Asset]
    """Of `MARKS`, those that are there."""
    creditors: Mapping[str, Creditor]
    logos: Mapping[str, Asset]
    letters: Mapping[LetterKey, bytes]
    """Archives of the letters' folders as they are at start, for records that were read before templates had versions."""
    rehearsal: bool
    limits: Limits
    raster_every: int
    """Of so many notices one is drawn, and its codes read from the pictures; 0: none."""


def load_kit(creditors: Creditors, settings: RenderSettings) -> Kit:
    """Raises `PrintingConfigurationWrong` or `TextsWrong`."""
    problems: list[str] = []
    logos: dict[str, Asset] = {}
    for key, creditor in creditors.creditors.items():
        if code := creditor_problem(creditor.name, *_printed_contacts(creditor)):
            problems.append(f"creditors.{key}: name or contacts cannot be printed on a notice ({code})")
        if creditor.postal and (code := postal_problem(creditor.postal.holder, creditor.postal.authorisation)):
            problems.append(f"creditors.{key}.postal: holder or authorisation cannot be printed on a slip ({code})")
        if creditor.logo is not None:
            try:
                logos[key] = read_image(creditor.logo)
            except ImageWrong as error:
                problems.append(f"creditors.{key}.logo: {error}")
    letters, marks = _letters(creditors, problems), _marks(settings.notice_marks, problems)
    if problems:
        raise PrintingConfigurationWrong("\n".join(problems))
    return Kit(
        words=_words(creditors, settings.notice_texts),
        slip_words=load_slip_words(),
        marks=marks,
        creditors=dict(creditors.creditors),
        logos=logos,
        letters=letters,
        rehearsal=creditors.rehearsal,
        limits=Limits(settings.cpu_seconds, settings.memory_mb << 20, settings.html_kb << 10, settings.letter_pages),
        raster_every=settings.raster_every,
    )


def _words(creditors: Creditors, folder: Path | None) -> dict[tuple[str, ...], Words]:
    spoken = {
        creditor.languages_of(payment_type)
        for creditor in creditors.creditors.values()
        for payment_type in creditor.payment_types
    }
    return {languages: load_words(folder, languages) for languages in sorted(spoken)}


def _marks(folder: Path | None, problems: list[str]) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for name in MARKS if folder else ():
        assert folder is not None
        there = [path for suffix in (".svg", ".png") if (path := folder / f"{name}{suffix}").is_file()]
        try:
            if there:
                found[name] = read_image(there[0])
        except ImageWrong as error:
            problems.append(f"STAFFETTA_NOTICE_MARKS: {error}")
    if folder is not None and not found:
        problems.append(f"STAFFETTA_NOTICE_MARKS: none of {', '.join(MARKS)} (.svg or .png) is in {folder.name}")
    return found


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
