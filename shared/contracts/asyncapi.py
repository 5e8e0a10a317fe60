"""The messages as an AsyncAPI 3 document, from the models themselves: for who integrates without our code."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts.commands import Message
from shared.contracts.envelope import CONTENT_TYPE
from shared.contracts.registry import EVERY, kebab, messages

SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch")
EXCHANGES = {
    "intake": "Requests and decisions: clients and status write, ingest reads.",
    "commands": "From ingest and status to one stage; `every.restate.v1` to all.",
    "facts": "What happened, from its one owner; inside only.",
    "outcomes": "To other systems, without debtor data.",
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
        "asyncapi": "3.0.0",
        "info": {
            "title": "Staffetta",
            "version": version,
            "description": "Routing keys are `<owner>.<message>.v<major>`. A fact told again from a ledger travels under "
            "`<owner>.<message>.restated.v<major>`. Within v1 only optional fields are added: keep those you don't know.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {kind.__name__: _channel(kind) for kind in kinds},
        "operations": {
            f"{'obey' if _is_command(kind) else 'state'}{kind.__name__}": _operation(kind) for kind in kinds
        },
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in kinds},
            "messageTraits": {"cloudEvents": {"headers": HEADERS}},
            "schemas": schemas["$defs"],
        },
    }


def _is_command(kind: type[Message]) -> bool:
    return kind.exchange in ("intake", "commands")


def _channel(kind: type[Message]) -> dict[str, Any]:
    shared = kind.owner == EVERY and not _is_command(kind)
    name = f"{kebab(kind.__name__)}.v{kind.major}"
    exchange = {"name": f"staffetta.{kind.exchange}", "type": "topic", "durable": True}
    channel: dict[str, Any] = {
        "address": f"{{service}}.{name}" if shared else f"{kind.owner}.{name}",
        "description": EXCHANGES[kind.exchange],
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }
    if shared:
        channel["parameters"] = {"service": {"enum": list(SERVICES), "description": "Who states it."}}
    return channel


def _operation(kind: type[Message]) -> dict[str, Any]:
    return {
        "action": "receive" if _is_command(kind) else "send",
        "channel": {"$ref": f"#/channels/{kind.__name__}"},
        "summary": " ".join(inspect.cleandoc(kind.__doc__ or "").split()),
    }


def _message(kind: type[Message]) -> dict[str, Any]:
    return {
        "name": kebab(kind.__name__),
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvents"}],
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }
