"""The messages as an AsyncAPI 3 document, from the models themselves: for who integrates without our code."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts.commands import Message, RequestBatch
from shared.contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from shared.contracts.examples import EXAMPLES
from shared.contracts.outcomes import CLIENT, Outcome
from shared.contracts.registry import EVERY, kebab, messages

SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch")
EXCHANGES = {
    "intake": "Requests and decisions: clients and status write, ingest reads.",
    "commands": "From ingest and status to one stage; `every.restate.v1` to all.",
    "facts": "What happened, from its one owner; inside only.",
    "outcomes": "To one other system, without debtor data. Read the queue `staffetta.outcomes.{client}`.",
}
OUTSIDE = {"name": "other-systems", "description": "All that another system publishes and is told."}
INSIDE = {"name": "inside", "description": "Between Staffetta's own services."}
CLIENT_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
SERVERS: dict[str, Any] = {
    "broker": {
        "host": "{host}:{port}",
        "protocol": "amqps",
        "protocolVersion": "0-9-1",
        "description": "RabbitMQ. Publish persistent, mandatory and with confirms, and set `user_id` to your own user: without it nobody "
        "knows who asks, and nobody is answered.",
        "variables": {
            "host": {"default": "broker.comune.borgo-esempio.example"},
            "port": {"default": "5671", "description": "5672 with `amqp`, inside one machine only."},
        },
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("password", "certificate")],
    }
}
SECURITY: dict[str, Any] = {
    "password": {
        "type": "userPassword",
        "description": "Each client has a user of its own, which may publish `ingest.request-batch.v1` to `staffetta.intake` and read "
        "`staffetta.outcomes.{client}`.",
    },
    "certificate": {"type": "X509", "description": "In the password's place, where the broker is set up for it."},
}
HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 in its AMQP binding. Never personal data.",
    "required": [f"cloudEvents_{name}" for name in ("specversion", "id", "type", "source", "time")],
    "properties": {
        "cloudEvents_specversion": {"const": "1.0"},
        "cloudEvents_id": {"type": "string", "description": "The same for a repeat."},
        "cloudEvents_type": {"type": "string", "description": "`it.staffetta.` and the routing key."},
        "cloudEvents_source": {"type": "string"},
        "cloudEvents_time": {"type": "string", "format": "date-time"},
        "cloudEvents_causationid": {"type": "string", "description": "The message that led to this one."},
        "cloudEvents_traceparent": {"type": "string"},
    },
}


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is the distribution's."""
    kinds = [messages()[key] for key in sorted(messages())]
    _, schemas = models_json_schema(
        [(kind, "serialization") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Staffetta",
            "version": version,
            "description": "Routing keys are `<owner>.<message>.v<major>`. A fact told again from a ledger travels under "
            "`<owner>.<message>.restated.v<major>`. Within v1 only optional fields are added: keep those you don't know. "
            "`staffetta.` is the installation's namespace. On `staffetta.commands` and `staffetta.facts` several messages of one routing "
            f"key may travel as one, as `{BATCH_CONTENT_TYPE}`: an array of events, each with its payload as `data`. Other "
            "systems: see docs/how-to/publish-batches.md.",
            "license": {"name": "EUPL-1.2", "url": "https://eupl.eu/1.2/en/"},
            "tags": [OUTSIDE, INSIDE],
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": SERVERS,
        "channels": {kind.__name__: _channel(kind) for kind in kinds},
        "operations": {
            f"{'obey' if _is_command(kind) else 'state'}{kind.__name__}": _operation(kind) for kind in kinds
        },
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in kinds},
            "securitySchemes": SECURITY,
            "messageTraits": {"cloudEvents": {"headers": HEADERS}},
            "schemas": schemas["$defs"],
        },
    }


def _is_command(kind: type[Message]) -> bool:
    return kind.exchange in ("intake", "commands")


def _for_outsiders(kind: type[Message]) -> bool:
    return kind is RequestBatch or issubclass(kind, Outcome)


def _channel(kind: type[Message]) -> dict[str, Any]:
    parameter = _parameter(kind)
    owner = "".join(f"{{{name}}}" for name in parameter) or kind.owner
    exchange = {"name": f"staffetta.{kind.exchange}", "type": "topic", "durable": True}
    channel: dict[str, Any] = {
        "address": f"{owner}.{kebab(kind.__name__)}.v{kind.major}",
        "description": EXCHANGES[kind.exchange],
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }
    return channel | ({"parameters": parameter} if parameter else {})


def _parameter(kind: type[Message]) -> dict[str, Any]:
    """The part of the routing key that is not the message's own."""
    if kind.owner == CLIENT:
        return {"client": {"description": f"The client's name, which is its user at the broker: {CLIENT_NAME}"}}
    if kind.owner == EVERY and not _is_command(kind):
        return {"service": {"enum": list(SERVICES), "description": "Who states it."}}
    return {}


def _operation(kind: type[Message]) -> dict[str, Any]:
    """As AsyncAPI counts: what Staffetta does."""
    return {
        "action": "receive" if _is_command(kind) else "send",
        "channel": {"$ref": f"#/channels/{kind.__name__}"},
        "summary": " ".join(inspect.cleandoc(kind.__doc__ or "").split()),
        "tags": [OUTSIDE if _for_outsiders(kind) else INSIDE],
        **({"bindings": {"amqp": {"mandatory": True, "deliveryMode": 2}}} if kind is RequestBatch else {}),
    }


def _message(kind: type[Message]) -> dict[str, Any]:
    example = EXAMPLES.get(kind)
    shown = example.model_dump(mode="json", exclude_defaults=True) if example is not None else {}
    return {
        "name": kebab(kind.__name__),
        "contentType": CONTENT_TYPE,
        # another system needs no attributes: who it is says the broker, and which request it is says the body
        **({} if kind is RequestBatch else {"traits": [{"$ref": "#/components/messageTraits/cloudEvents"}]}),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        **({"examples": [{"name": kebab(kind.__name__), "payload": shown}]} if example is not None else {}),
    }
