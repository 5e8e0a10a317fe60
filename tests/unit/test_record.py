"""The record on the wire: what instalments may look like, and what an older service makes of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.record import Payment, Position, Record
from tests.builders import a_record_in_instalments, a_rendered_record

PAYMENT: dict[str, Any] = {
    "payment_type": "tari",
    "amount_cents": 30_000,
    "due_date": "2027-01-31",
    "reason": "TARI 2027",
}


def instalments(*numbers: int) -> list[dict[str, Any]]:
    return [{"number": number, "amount_cents": 10_000, "due_date": "2027-01-31"} for number in numbers]


@pytest.mark.parametrize("count", [2, 12])
@pytest.mark.parametrize("in_full", [True, False])
def test_a_record_in_instalments_travels_whole(count: int, in_full: bool) -> None:
    record = a_record_in_instalments(count, in_full=in_full)
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert record.position is not None
    assert len({each.notice_code for each in record.position.instalments}) == count


@pytest.mark.parametrize("numbers", [(1,), (2, 3), (1, 3), (2, 1), (1, 1), tuple(range(1, 14)), (0, 1)])
def test_instalments_are_two_or_more_numbered_from_one(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Payment.model_validate(PAYMENT | {"instalments": instalments(*numbers)})


def test_what_cannot_be_paid_in_any_way_is_no_payment() -> None:
    with pytest.raises(ValidationError):
        Payment.model_validate(PAYMENT | {"in_full": False})


def test_a_record_of_before_is_paid_in_full_and_names_its_due_date() -> None:
    payment = Payment.model_validate(PAYMENT)
    assert (payment.instalments, payment.in_full, payment.due_date_printed) == ([], True, True)
    assert payment.due_date == date(2027, 1, 31)
    assert Position.model_validate({"order": 1, "state": "done"}).instalments == []
    assert a_rendered_record().position is not None
