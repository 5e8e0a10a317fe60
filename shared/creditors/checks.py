"""What only the whole file can tell. Each check yields (key path, Italian sentence)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Literal
from urllib.parse import urlsplit

from shared.creditors.models import Creditor, Creditors
from shared.creditors.secrets import SecretMissing, resolve_secret

Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
SecretOf = Literal["pagopa", "mailboxes"]
SERVICE_USERS = frozenset(
    {"ingest", "iuv", "render", "protocol", "dispatch", "status", "operations", "topology", "parked", "guest"}
)
"""Users at the broker that are no client's: what they publish is obeyed."""


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its very name: no look-up is made, for names may change after the check."""
    name = host.strip("[]").rstrip(".").lower()
    if name in {"localhost", "localhost.localdomain"} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _short_form(name)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return address.is_loopback or address.is_unspecified


def _short_form(name: str) -> bool:
    """`127.1` and its like, which a resolver takes for an address."""
    try:
        packed = socket.inet_aton(name)
    except OSError:
        return False
    return ipaddress.ip_address(packed).is_loopback


def mistakes(file: Creditors, secrets: Collection[SecretOf]) -> Iterator[Mistake]:
    """All of them, in the file's order. `secrets`: those that this process needs and that therefore must be there."""
    for code, creditor in file.creditors.items():
        at: Place = ("creditors", code)
        yield from _range_and_register(at, creditor, file.rehearsal)
        yield from _legs(at, creditor, file.rehearsal)
        yield from _secrets(at, creditor, file.rehearsal, secrets)
    yield from _shared_identity(file)
    yield from _clients(file)


def _range_and_register(at: Place, creditor: Creditor, rehearsal: bool) -> Iterator[Mistake]:
    if creditor.iuv_start > creditor.iuv_end:
        yield (*at, "iuv_end"), "è prima di iuv_start: l'intervallo dei numeri è vuoto"
    register = creditor.protocol
    if bool(register.declared_by_act) != (register.declared_on is not None):
        yield (*at, "protocol"), "declared_by_act e declared_on vanno indicati insieme: l'atto e la sua data"
    elif register.declared and rehearsal:
        yield (
            (*at, "protocol", "declared_by_act"),
            "in una prova (rehearsal = true) il registro non può essere quello dichiarato dall'ente: togliere atto e data",
        )


def _legs(at: Place, creditor: Creditor, rehearsal: bool) -> Iterator[Mistake]:
    """All legs simulated, or none (a simulator always listens on a loopback address).

    A notice whose position is open at a simulator cannot be paid: mailed for real, it harms a citizen. So a real file
    may not name a loopback address at all; a local mail relay is reached by the machine's name.
    """
    url = urlsplit(creditor.pagopa.base_url)
    legs: list[tuple[Place, str]] = [((*at, "pagopa", "base_url"), url.hostname or "")]
    legs += [((*at, "mailboxes", name, "host"), box.host) for name, box in creditor.mailboxes.items()]
    for place, host in legs:
        if rehearsal and not is_loopback(host):
            yield place, "con rehearsal = true deve stare su 127.0.0.1: in prova non si toccano sistemi veri"
        if not rehearsal and is_loopback(host):
            yield (
                place,
                "con rehearsal = false non può stare su questa macchina: sarebbe un simulatore fra sistemi veri",
            )
    if not rehearsal and url.scheme != "https":
        yield (*at, "pagopa", "base_url"), "deve iniziare con https://"
    for name, box in creditor.mailboxes.items():
        if box.security == "plain" and not is_loopback(box.host):
            yield (*at, "mailboxes", name, "security"), "plain è ammesso solo verso 127.0.0.1: usare tls o starttls"


def _secrets(at: Place, creditor: Creditor, rehearsal: bool, wanted: Collection[SecretOf]) -> Iterator[Mistake]:
    found: list[tuple[SecretOf, Place, str]] = [("pagopa", (*at, "pagopa", "key"), creditor.pagopa.key)]
    for name, box in creditor.mailboxes.items():
        found.append(("mailboxes", (*at, "mailboxes", name, "password"), box.password))
    for owner, place, reference in found:
        if reference.startswith("rehearsal:") and not rehearsal:
            yield place, "rehearsal:... è ammesso solo con rehearsal = true: usare env:NOME o file:/percorso"
        elif owner in wanted:
            try:
                resolve_secret(reference)
            except SecretMissing as missing:
                yield place, str(missing)


def _shared_identity(file: Creditors) -> Iterator[Mistake]:
    """What two creditors must not share: numbers of one IUV range, and one register."""
    for (one, first), (other, second) in combinations(file.creditors.items(), 2):
        same_series = (first.tax_code, first.segregation_code) == (second.tax_code, second.segregation_code)
        if same_series and first.iuv_start <= second.iuv_end and second.iuv_start <= first.iuv_end:
            yield (
                ("creditors", other, "iuv_start"),
                f"l'intervallo iuv_start-iuv_end si sovrappone a quello di creditors.{one}, "
                "che ha lo stesso codice fiscale e codice di segregazione: due debiti avrebbero lo stesso IUV",
            )
        if _register(first) == _register(second):
            yield (
                ("creditors", other, "protocol", "code"),
                f"ente, AOO e registro sono gli stessi di creditors.{one}: ogni AOO ha una sola numerazione",
            )


def _register(creditor: Creditor) -> tuple[str, str, str]:
    return creditor.ipa_code.lower(), creditor.aoo_code.lower(), creditor.protocol.code.lower()


def _clients(file: Creditors) -> Iterator[Mistake]:
    for name, client in file.clients.items():
        if name in SERVICE_USERS:
            yield ("clients", name), "è il nome di un servizio di Staffetta: dare al client un altro nome"
        known = [file.creditors[code] for code in client.creditors if code in file.creditors]
        for index, code in enumerate(client.creditors):
            if code not in file.creditors:
                yield ("clients", name, "creditors", index), "non è fra gli enti di questo file"
        for index, code in enumerate(client.payment_types):
            if not any(code in creditor.payment_types for creditor in known):
                yield ("clients", name, "payment_types", index), "nessun ente di questo client ha questa tipologia"
