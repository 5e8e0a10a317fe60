"""`staffetta topology definitions`: RabbitMQ's definitions file, with hashes in place of passwords."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from deploy.cli.operators import DONE, Misused, complain, explained, say, topology
from shared.bus.users import NameTaken, definitions, password_hash, users
from shared.creditors import SecretMissing, resolve_secret


@explained
def write(passwords: Path | None, out: Path | None, vhost: str) -> int:
    """Write it to `out`, which only its owner may read, or to stdout. Whom `passwords` does not name cannot log in."""
    names = topology()
    try:
        known = {user.name for user in users(names)}
    except NameTaken as taken:
        raise Misused(f"Il client «{taken}» ha il nome di un utente di Staffetta: dargliene un altro.") from taken
    hashes = _hashes(passwords, known) if passwords else {}
    text = json.dumps(definitions(names, hashes, vhost), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        say(text.rstrip())
    else:
        _keep(out, text)
    for name in sorted(known - hashes.keys()) if passwords else ():
        complain(f"{name}: senza password, non potrà entrare")
    return DONE


def _keep(path: Path, text: str) -> None:
    try:
        path.touch(mode=0o640)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misused(f"{path} non si può scrivere: {error.strerror}.") from error


def _hashes(path: Path, known: set[str]) -> dict[str, str]:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misused(f"{path} non si legge come TOML ({type(error).__name__}).") from error
    if strangers := sorted(told.keys() - known):
        raise Misused(f"{path} nomina utenti che non ci sono: {', '.join(strangers)}.")
    try:
        return {name: password_hash(resolve_secret(str(reference))) for name, reference in told.items()}
    except SecretMissing as missing:
        raise Misused(f"{path}: {missing}.") from missing
