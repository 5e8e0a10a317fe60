"""What RabbitMQ's management API lists. Only read; only what `topology verify` compares."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import httpx

from deploy.cli.settings import OperatorSettings
from shared.bus.verify import Told

PORT = 15672
SECONDS = 10.0
UNTOLD = "argomenti, collegamenti e politiche: l'API di gestione (STAFFETTA_MANAGEMENT_URL) "


def told(broker_url: str) -> tuple[Told | None, str]:
    """The lists of the broker's vhost, or `None` and why not."""
    broker = urlsplit(broker_url)
    vhost = quote(unquote(broker.path[1:]) or "/", safe="")
    given = urlsplit(OperatorSettings().management_url.get_secret_value())
    address = (
        f"{given.scheme}://{given.hostname}:{given.port or PORT}"
        if given.hostname
        else f"http://{broker.hostname}:{PORT}"
    )
    who = given if given.username else broker
    login = (unquote(who.username or "guest"), unquote(who.password or "guest"))
    try:
        with httpx.Client(base_url=address, auth=login, timeout=SECONDS) as client:
            lists = {}
            for kind in ("exchanges", "queues", "bindings"):
                answer = client.get(f"/api/{kind}/{vhost}")
                answer.raise_for_status()
                lists[kind] = answer.json()
    except httpx.HTTPStatusError as error:
        return None, f"{UNTOLD}risponde {error.response.status_code} a questo utente"
    except (httpx.HTTPError, ValueError):
        return None, f"{UNTOLD}non risponde"
    return Told(**lists), ""
