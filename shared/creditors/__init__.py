"""Creditors, payment types, letters, mailboxes and clients: one TOML file (`STAFFETTA_CREDITORS`).

Secrets are references, never values. The loader refuses a wrong file with the key path and what is wrong with it.
"""

from shared.creditors.checks import is_loopback
from shared.creditors.load import CreditorsError, load_creditors
from shared.creditors.models import (
    Client,
    Contacts,
    Creditor,
    Creditors,
    Letter,
    Mailbox,
    PagoPa,
    PaymentType,
    Register,
)
from shared.creditors.secrets import SecretMissing, resolve_secret

__all__ = [
    "Client",
    "Contacts",
    "Creditor",
    "Creditors",
    "CreditorsError",
    "Letter",
    "Mailbox",
    "PagoPa",
    "PaymentType",
    "Register",
    "SecretMissing",
    "is_loopback",
    "load_creditors",
    "resolve_secret",
]
