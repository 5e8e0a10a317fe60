"""*IndirizzoPec* and *TipoSpedizione*: where a notice goes, and by which channel.

Whether an address is PEC is judged by its domain, from `domains.txt`: a guess that is right for the known providers and
for names like `pec.comune.it`. The provider's acceptance receipt tells the truth later (certified or external recipient).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from email_validator import EmailNotValidError, validate_email

from services.ingest.tracciato.findings import Findings
from services.ingest.tracciato.headings import ADDRESS, CHANNEL, key
from shared.contracts.base import Channel

DOMAINS_FILE: Final = Path(__file__).with_name("domains.txt")
BARE: Final = re.compile(r"[^\s<>;,\"'()]+@[^\s<>;,\"'()]+")
PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
CHANNELS: Final = {
    key(text): channel
    for channel, texts in {
        Channel.PEC: ("PEC", "Posta elettronica certificata"),
        Channel.EMAIL: ("E-mail", "Mail", "Posta elettronica", "PEO"),
        Channel.AUTO: ("In base all'indirizzo", "In base all’indirizzo", "Auto", "Automatico"),
    }.items()
    for text in texts
}


class DomainKind(StrEnum):
    """What a domain's name tells."""

    PEC = "pec"
    ORDINARY = "ordinary"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Domains:
    """The sections of `domains.txt`."""

    pec: frozenset[str]
    labels: frozenset[str]
    ordinary: frozenset[str]
    misspelt: dict[str, str]


@cache
def known_domains() -> Domains:
    """The data file, read once."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in DOMAINS_FILE.read_text("utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            current = sections.setdefault(text.strip("[]"), [])
        elif text:
            current.append(text)
    pairs = dict(line.split() for line in sections["misspelt"])
    return Domains(frozenset(sections["pec"]), frozenset(sections["labels"]), frozenset(sections["ordinary"]), pairs)


def _ends(domain: str, known: frozenset[str]) -> bool:
    """Whether the domain or one above it is known."""
    labels = domain.split(".")
    return any(".".join(labels[start:]) in known for start in range(len(labels) - 1))


@lru_cache(maxsize=4096)
def domain_kind(domain: str) -> DomainKind:
    """PEC by provider or by a label such as `pec`; ordinary only where the provider is known for it."""
    known = known_domains()
    if _ends(domain, known.pec):
        return DomainKind.PEC
    if _ends(domain, known.ordinary):
        return DomainKind.ORDINARY
    owners = domain.split(".")[:-1]
    parts = {part for label in owners for part in (label, *label.split("-"))}
    marked = any(label.startswith("pec") or label.endswith("pec") for label in owners if len(label) > 5)
    return DomainKind.PEC if marked or parts & known.labels else DomainKind.UNKNOWN


def resolve_channel(address: str, asked: Channel) -> Channel:
    """PEC or EMAIL for AUTO, by the address's domain; AUTO stays where there is no address yet."""
    if asked is not Channel.AUTO or not address:
        return asked
    return Channel.PEC if domain_kind(address.rpartition("@")[2]) is DomainKind.PEC else Channel.EMAIL


def _one_slip(one: str, two: str) -> bool:
    """Whether one letter dropped, added, changed, or two neighbours swapped, make `two` of `one`."""
    short, long = sorted((one, two), key=len)
    if len(long) - len(short) > 1 or one == two:
        return False
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
    return swapped or short[at + 1 :] == long[at + 1 :]


@lru_cache(maxsize=4096)
def likely_domain(domain: str) -> str:
    """The well-known domain that this one seems to mean; empty: none. Short names are too near to one another to tell."""
    known = known_domains()
    if domain in known.misspelt:
        return known.misspelt[domain]
    if domain in known.ordinary or domain in known.pec:
        return ""
    near = (target for target in sorted(known.ordinary | known.pec) if len(target) >= 8 and _one_slip(domain, target))
    return next(near, "")


def _valid(text: str) -> str:
    try:
        checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        return ""
    return checked.ascii_email or checked.normalized


_valid_domain = lru_cache(maxsize=4096)(lambda domain: _valid(f"x@{domain}")[2:])


def valid_address(text: str) -> str:
    """The address as email-validator writes it; empty: it is none.

    A local part of plain atoms needs no more than its length; then only the domain is asked for, and once.
    """
    local, _, domain = text.rpartition("@")
    if not PLAIN_LOCAL.fullmatch(local) or len(local) > 64:
        return _valid(text)
    known = _valid_domain(domain)
    return f"{local}@{known}" if known and len(local) + len(known) < 254 else ""


def read_address(findings: Findings) -> str:
    """The one address, normalised; empty: none (a warning), or a problem that was told."""
    before = len(findings.problems)
    text = findings.text(ADDRESS, 320)
    if not text:
        if len(findings.problems) == before:
            findings.warn(ADDRESS, "no-address")
        return ""
    if text.lower().startswith("mailto:"):
        text = text[7:].strip()
    if text.count("@") > 1:
        found = BARE.findall(text)
        findings.problem(ADDRESS, "two-addresses" if len(found) > 1 else "malformed-address", found[0] if found else "")
        return ""
    if address := valid_address(text):
        return address
    inner = BARE.search(text)
    findings.problem(ADDRESS, "malformed-address", inner[0] if inner and inner[0] != text else "")
    return ""


def read_channel(findings: Findings, standard: Channel) -> Channel:
    """The row's own *TipoSpedizione*, or the batch's."""
    cell = findings.cell(CHANNEL)
    if cell is None:
        return standard
    channel = CHANNELS.get(key(cell.text))
    if channel is None:
        findings.problem(CHANNEL, "unknown-channel")
    return channel or standard


def warn_about(findings: Findings, address: str, channel: Channel) -> None:
    """Warnings that the address alone gives. `channel` is resolved."""
    local, _, domain = address.rpartition("@")
    kind = domain_kind(domain)
    if likely := likely_domain(domain):
        findings.warn(ADDRESS, "misspelt-domain", f"{local}@{likely}")
    if channel is Channel.PEC and kind is DomainKind.ORDINARY:
        findings.warn(ADDRESS, "pec-to-ordinary")
    if channel is Channel.EMAIL and kind is DomainKind.PEC:
        findings.warn(ADDRESS, "email-to-pec")
