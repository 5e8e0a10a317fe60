"""`staffetta parked`: the messages that no service could read. Bodies hold personal data: they are shown only when asked."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from typing import Any

import typer

from deploy.cli.operators import DIFFERENT, DONE, Misused, broker_url, complain, explained, say, tell, topology
from shared.bus.topology import SERVICES
from shared.bus.unreadable import Desk, NotSentBack, Parked

WHY = {
    "unknown-origin": "non si sa da dove venga: si può solo scartare",
    "unroutable": "nessuna coda lo riceve più: manca la topologia? («staffetta topology verify»)",
    "queue-full": "la coda di destinazione è piena",
    "another-user": "l'ha pubblicato un altro utente: per rimandarlo serve il tag «impersonator»",
    "not-allowed": "questo utente non può pubblicare lì",
}
REASONS = {
    "rejected": "illeggibile",
    "delivery_limit": "consegnato troppe volte",
    "expired": "scaduto",
    "maxlen": "coda piena",
}


@explained
def listing(service: str, limit: int, *, json: bool) -> int:
    """Counts, and of each message where it came from, since when, why; never its body."""
    with Desk(broker_url(), topology()) as desk:
        counts = {each: desk.count(each) for each in _services(service)}
        found = [parked for each in counts for parked, _ in desk.messages(each, limit)]
    if json:
        tell({"counts": counts, "messages": [_summary(each) for each in found]})
        return DONE
    for name, count in counts.items():
        reasons = Counter(REASONS.get(each.reason, each.reason or "?") for each in found if each.service == name)
        told = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
        say(f"{topology().unreadable_name(name)}: {count}{f' ({told})' if told else ''}")
    for each in found:
        held = f"  pacco di {each.items}" if each.items > 1 else ""
        say(f"  {each.ref}  {each.key or '?'}  {_age(each)}  {len(each.body)} byte{held}")
    return DONE


@explained
def show(wanted: str, *, body: bool, json: bool) -> int:
    """One message's headers, and its body where that is asked for."""
    with Desk(broker_url(), topology()) as desk:
        [(parked, _)] = desk.pick([wanted])
    if body:
        complain("Attenzione: il contenuto riporta dati personali (nome, codice fiscale, indirizzo, importo).")
    content = parked.body.decode("utf-8", "backslashreplace") if body else ""
    if json:
        tell({**_summary(parked), "headers": parked.headers, **({"body": content} if body else {})})
        return DONE
    for name, value in {**_summary(parked), **parked.headers}.items():
        say(f"{name}: {_plain(value)}")
    if body:
        say(f"\n{_plain(content)}")
    return DONE


@explained
def redrive(wanted: Sequence[str], service: str, *, every: bool, json: bool) -> int:
    """Send back to where they came from. 1 where some had to stay."""
    if bool(wanted) == every:
        raise Misused("Indica gli ID, oppure --all.")
    sent: list[str] = []
    kept: dict[str, str] = {}
    with Desk(broker_url(), topology()) as desk:
        chosen = desk.pick(wanted) if wanted else (each for name in _services(service) for each in desk.messages(name))
        for parked, tag in chosen:
            try:
                desk.redrive(parked, tag)
                sent.append(parked.ref)
            except NotSentBack as error:
                kept[parked.ref] = error.code
                if error.fatal:
                    break
    if json:
        tell({"sent": sent, "kept": kept})
    else:
        say(f"Rimandati: {len(sent)}")
        for ref, code in kept.items():
            complain(f"{ref}: {WHY[code]}")
    return DIFFERENT if kept else DONE


@explained
def discard(wanted: Sequence[str], file: Path | None, *, yes: bool) -> int:
    """For good, once a copy is on the disk. 1 where the operator thought better of it."""
    if not wanted:
        raise Misused("Indica gli ID di ciò che si scarta.")
    # asked with no connection open: the broker ends one that waits for a person
    if not yes and not typer.confirm(f"Scartare per sempre {len(wanted)} messaggi?"):
        return DIFFERENT
    path = file or Path(f"scartati-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl")
    with Desk(broker_url(), topology()) as desk:
        chosen = desk.pick(wanted)
        try:
            _write_down(path, [parked for parked, _ in chosen])
        except OSError as error:
            raise Misused(f"Non posso scrivere {path} ({error.strerror}): nulla è stato scartato.") from error
        for _, tag in chosen:
            desk.discard(tag)
    say(f"Scartati: {len(chosen)}. Copia in {path}: contiene dati personali, conservala o distruggila di conseguenza.")
    return DONE


def _services(service: str) -> Sequence[str]:
    if service and service not in SERVICES:
        raise Misused(f"Non c'è un servizio {service}: sono {', '.join(SERVICES)}.")
    return (service,) if service else SERVICES


def _summary(parked: Parked) -> dict[str, Any]:
    return {
        "ref": parked.ref, "id": parked.id, "queue": parked.queue, "reason": parked.reason, "exchange": parked.exchange,
        "key": parked.key, "since": parked.since.isoformat() if parked.since else "", "user": parked.sender,
        "bytes": len(parked.body), "items": parked.items,
    }  # fmt: skip


def _age(parked: Parked) -> str:
    if parked.since is None:
        return "?"
    minutes = int((datetime.now(UTC) - parked.since).total_seconds() // 60)
    return (
        f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} giorni"
    )


def _plain(value: object) -> str:
    """Without what would steer the terminal."""
    return "".join(character for character in str(value) if character.isprintable() or character in "\n\t")


def _write_down(path: Path, messages: Sequence[Parked]) -> None:
    """One JSON line each, for this user alone, on the disk before anything is let go."""
    with open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        for each in messages:
            told = {**_summary(each), "headers": each.headers, "body": base64.b64encode(each.body).decode()}
            file.write(dumps(told, ensure_ascii=False, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
