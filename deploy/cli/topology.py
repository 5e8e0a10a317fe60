"""`staffetta topology`: exchanges, queues and bindings, as the code says and as the broker has them."""

from __future__ import annotations

from dataclasses import asdict
from json import loads
from pathlib import Path
from typing import Any

from deploy.cli.management import told, told_access
from deploy.cli.operators import DIFFERENT, DONE, WRONG, Misused, broker_url, complain, explained, say, tell, topology
from shared.bus.access import compare_access
from shared.bus.verify import Unmade, arguments, compare, declare, passive

WHAT = {"missing": "manca", "extra": "è in più", "differs": "è diverso"}
KIND = {
    "exchange": "exchange",
    "queue": "coda",
    "binding": "collegamento di",
    "user": "utente",
    "permission": "permesso di",
}


def show(*, json: bool) -> int:
    """What the code says."""
    names = topology()
    if json:
        queues = {
            each.name: {
                "arguments": arguments(each),
                "bindings": _bindings(each),
            }
            for each in names.queues()
        }
        tell({"exchanges": [each.name for each in names.exchanges()], "queues": queues})
        return DONE
    for exchange in names.exchanges():
        say(f"exchange  {exchange.name} ({exchange.type})")
    for queue in names.queues():
        say(f"coda      {queue.name}")
        for source, key in _bindings(queue):
            say(f"            {source} · {key}")
    return DONE


@explained
def apply() -> int:
    """Make what is missing."""
    try:
        declare(broker_url(), topology())
    except Unmade as error:
        complain(f"Non tutto è stato creato: {error}")
        return WRONG
    say("La topologia è completa.")
    return DONE


@explained
def verify(definitions: Path | None, *, json: bool) -> int:
    """Compare, as far as the broker and its management API tell."""
    url = broker_url()
    wanted = _read(definitions) if definitions else None
    report = passive(url, topology())
    listed, untold = told(url)
    if listed is None:
        report.unchecked.append(untold)
    else:
        report.differences = sorted({*report.differences, *compare(topology(), listed)})
    if wanted is None:
        report.unchecked.append("utenti e permessi: indica --definitions")
    else:
        access, untold = told_access(url)
        if access:
            report.differences += compare_access(wanted, access)
        else:
            report.unchecked.append(untold)
    if json:
        tell(asdict(report))
        return DIFFERENT if report.differences else DONE
    for each in report.differences:
        say(f"{KIND[each.kind]} {each.name}: {WHAT[each.what]}{f' ({each.detail})' if each.detail else ''}")
    for what in report.unchecked:
        complain(f"non controllato: {what}")
    say("Diverso da come deve essere." if report.differences else "Ciò che si è potuto controllare è come deve essere.")
    return DIFFERENT if report.differences else DONE


def _bindings(queue: Any) -> list[tuple[str, str]]:
    """Sorted: kombu keeps a set, and two listings are compared."""
    return sorted((bound.exchange.name, bound.routing_key) for bound in queue.bindings)


def _read(path: Path) -> dict[str, Any]:
    try:
        made: dict[str, Any] = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misused(f"{path} non si legge come definitions.json ({type(error).__name__}).") from error
    return made
