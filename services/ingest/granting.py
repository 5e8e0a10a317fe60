"""What a client may ask for, and how much of it on one day."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from services.ingest.asking import further
from services.ingest.refusals import Refusal
from services.ingest.tables import ClientDay
from shared.contracts.commands import RequestBatch
from shared.creditors.models import Client
from shared.db.insert import insert_missing

ROME = ZoneInfo("Europe/Rome")


def check_grant(request: RequestBatch, grant: Client) -> None:
    """Raises `Refusal`. A creditor that is another's and one that nobody has get the same answer."""
    if request.creditor not in grant.creditors:
        raise Refusal("creditor-not-granted")
    if grant.payment_types and request.options.payment_type not in grant.payment_types:
        raise Refusal("payment-type-not-granted")
    if further(request.until, grant.until):
        raise Refusal("until-not-granted")


def check_request(session: Session, client: str, grant: Client, at: datetime) -> None:
    """Raises `Refusal` where the client asked as often today as it may. Two that come at the same moment both pass."""
    today = session.get(ClientDay, (client, _day(at)))
    if today is not None and today.requests >= grant.requests_per_day:
        raise Refusal("requests-per-day")


def count_request(session: Session, client: str, grant: Client, at: datetime) -> None:
    """One more message of the client today, once it was answered: one that an outage holds is tried again and again."""
    today = _today(session, client, at)
    today.requests = min(today.requests + 1, grant.requests_per_day)


def count_records(session: Session, client: str, grant: Client, at: datetime, records: int) -> None:
    """So many new records today. Raises `Refusal` beyond the grant."""
    day = _today(session, client, at)
    if day.records + records > grant.records_per_day:
        raise Refusal("records-per-day")
    day.records += records


def _today(session: Session, client: str, at: datetime) -> ClientDay:
    """The client's row of the day, locked: who counts at the same moment waits."""
    day = ClientDay(client=client, day=_day(at))
    insert_missing(session, [day])
    return session.get_one(ClientDay, (day.client, day.day), with_for_update=True)


def _day(at: datetime) -> date:
    return at.astimezone(ROME).date()
