"""What RabbitMQ's management API lists. Only read; only what `topology verify` compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from deploy.cli.settings import OperatorSettings
from shared.bus.verify import Told

PORT = 15672
SECONDS = 10.0
API = "l'API di gestione (STAFFETTA_MANAGEMENT_URL)"


def told(broker_url: str) -> tuple[Told | None, str]:
    """The lists of the broker's vhost, or `None` and why not."""
    lists, why = _asked(broker_url, {kind: f"/api/{kind}/{{vhost}}" for kind in ("exchanges", "queues", "bindings")})
    return (Told(**lists), "") if lists else (None, f"argomenti, collegamenti e politiche: {why}")


def told_access(broker_url: str) -> tuple[dict[str, Any], str]:
    """Users and permissions, which only an `administrator` is told; nothing, and why not."""
    paths = {
        "users": "/api/users", "permissions": "/api/vhosts/{vhost}/permissions",
        "topic_permissions": "/api/vhosts/{vhost}/topic-permissions",
    }  # fmt: skip
    lists, why = _asked(broker_url, paths)
    return lists, f"utenti e permessi (li vede solo chi ha il tag administrator): {why}"


def _asked(broker_url: str, paths: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    broker = urlsplit(broker_url)
    vhost = quote(unquote(broker.path[1:]) or "/", safe="")
    given = urlsplit(OperatorSettings().management_url.get_secret_value())
    secure = given.scheme or "http"
    address = f"{secure}://{given.hostname or broker.hostname}:{given.port or PORT}"
    who = given if given.username else broker
    login = (unquote(who.username or "guest"), unquote(who.password or "guest"))
    lists = {}
    try:
        with httpx.Client(base_url=address, auth=login, timeout=SECONDS) as client:
            for name, path in paths.items():
                lists[name] = client.get(path.format(vhost=vhost)).raise_for_status().json()
    except httpx.HTTPStatusError as error:
        return {}, f"{API} risponde {error.response.status_code} a questo utente"
    except (httpx.HTTPError, ValueError):
        return {}, f"{API} non risponde"
    return lists, ""
