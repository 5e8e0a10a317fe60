"""`staffetta up`: a clerk's whole day over the API, on the real relay with its simulators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.audit import qr_of, query
from tests.e2e.run_hand import counted, run, sheet
from tests.e2e.up_hand import up, wait_for


def test_a_batch_goes_from_upload_to_sent_in_the_three_steps(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        batch = here.upload(
            sheet(tmp_path / "rows.xlsx"), registration="true", subject="Avviso", classification="7.1", office="scuola"
        )
        assert here.batch(batch)["id"] == batch, "known right after the 202"
        wait_for("read", lambda: here.states(batch) == ["ready"] * 3)
        assert here.api.post(f"/batches/{batch}/send").status_code in (202, 409)
        assert counted(tmp_path / "home") == {"positions": 0, "registrations": 0, "messages": 0}

        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        notice = here.api.get(f"/records/{here.records(batch)[0]['id']}/documents/notice")
        assert notice.headers["content-type"] == "application/pdf"
        assert qr_of(notice.content).startswith("PAGOPA|002|3")

        here.post(f"/batches/{batch}/send")
        wait_for("sent", lambda: here.states(batch) == ["sent", "sent", "by-hand"])
        assert counted(tmp_path / "home") == {"positions": 3, "registrations": 3, "messages": 2}


def test_an_unclear_sending_is_settled_by_a_person_either_way(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        here.mail.post("/faults", json={"kind": "cut-accepted"}).raise_for_status()
        here.mail.post("/faults", json={"kind": "cut-lost"}).raise_for_status()
        batch = here.upload(sheet(tmp_path / "rows.xlsx"))
        wait_for("ready", lambda: here.states(batch) == ["ready"] * 3)
        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        here.post(f"/batches/{batch}/send")
        wait_for("unclear", lambda: here.states(batch).count("to-verify") == 2)
        kept = {line["message_id"] for line in _journal(tmp_path / "home") if line["event"] == "accepted"}
        assert len(kept) == 1

        for record in here.records(batch)[:2]:
            section = here.get(f"/records/{record['id']}")["record"]["sending"]
            verdict = "done" if section["message_id"] in kept else "not-done"
            body = {"stage": "dispatch", "order": section["order"], "verdict": verdict}
            here.post(f"/records/{record['id']}/settle", json=body)
        wait_for("settled", lambda: here.states(batch)[:2] == ["sent", "sent"])

        assert counted(tmp_path / "home")["messages"] == 2


def test_a_refused_address_is_corrected_and_sent_under_the_same_notice(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        here.mail.post("/faults", json={"kind": "unknown-recipient"}).raise_for_status()
        batch = here.upload(sheet(tmp_path / "rows.xlsx"))
        wait_for("ready", lambda: here.states(batch) == ["ready"] * 3)
        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        here.post(f"/batches/{batch}/send")
        wait_for("one refused", lambda: sorted(here.states(batch)) == ["by-hand", "sent", "to-correct"])
        refused = next(record for record in here.records(batch) if record["state"] == "to-correct")
        detail = here.get(f"/records/{refused['id']}")

        body = {"orders": detail["orders"], "correction": {"address": "nuovo.indirizzo@posta.example"}}
        here.post(f"/records/{refused['id']}/correct", json=body)
        here.post(f"/records/{refused['id']}/correct", json=body)  # from another person: counts once
        wait_for("sent", lambda: sorted(here.states(batch)) == ["by-hand", "sent", "sent"])

        after = here.get(f"/records/{refused['id']}")
        assert after["notice_code"] == detail["notice_code"]
        assert after["orders"]["dispatch"] == 2
        assert counted(tmp_path / "home")["messages"] == 2


def test_a_corrected_amount_withdraws_the_position_and_opens_another(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        batch = here.upload(sheet(tmp_path / "rows.xlsx"))
        wait_for("ready", lambda: here.states(batch) == ["ready"] * 3)
        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        record = here.records(batch)[0]
        detail = here.get(f"/records/{record['id']}")

        body = {"orders": detail["orders"], "correction": {"amount_cents": 9900}}
        here.post(f"/records/{record['id']}/correct", json=body)
        fresh = wait_for(
            "another number",
            lambda: (
                (now := here.get(f"/records/{record['id']}"))["state"] == "generated"
                and now["orders"]["iuv"] == 2
                and now
            ),
        )

        assert fresh["notice_code"] != detail["notice_code"]
        assert fresh["amount_cents"] == 9900
        calls = [(line["call"], line["position"]["paymentOption"][0]["nav"]) for line in _positions(tmp_path / "home")]
        assert ("invalidate", detail["notice_code"]) in calls
        assert ("create", fresh["notice_code"]) in calls


def test_a_cancelled_batch_withdraws_what_was_not_sent(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        batch = here.upload(sheet(tmp_path / "rows.xlsx"))
        wait_for("ready", lambda: here.states(batch) == ["ready"] * 3)
        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        here.post(f"/batches/{batch}/cancel")
        wait_for("cancelled", lambda: here.batch(batch)["state"] == "cancelled")

        assert here.states(batch) == ["cancelled"] * 3
        assert [line["call"] for line in _positions(tmp_path / "home")].count("invalidate") == 3


def test_a_paused_batch_issues_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    with up(tmp_path / "home") as here:
        batch = here.upload(sheet(tmp_path / "rows.xlsx"))
        wait_for("ready", lambda: here.states(batch) == ["ready"] * 3)
        here.post(f"/batches/{batch}/pause")
        wait_for("paused", lambda: here.batch(batch)["paused"])
        here.post(f"/batches/{batch}/generate")
        wait_for("allowed", lambda: here.batch(batch)["until"] == "generate")
        assert here.states(batch) == ["ready"] * 3

        here.post(f"/batches/{batch}/resume")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")


def test_the_read_model_is_rebuilt_from_the_ledgers(tmp_path: Path) -> None:
    code, said = run(sheet(tmp_path / "rows.xlsx"), folder=tmp_path)
    assert code == 0, said
    columns = "id, row, state, debtor_name, fiscal_code, notice_code, iuv, amount_cents, address"
    before = query(tmp_path / "out", "status", f"select {columns} from record order by row")
    for leftover in (tmp_path / "out" / ".staffetta").glob("status.sqlite*"):
        leftover.unlink()

    with up(tmp_path / "out") as here:
        wait_for("restated", lambda: len(here.get("/batches")["items"]) == 1)
        batch = here.get("/batches")["items"][0]["id"]
        wait_for("the same states", lambda: here.states(batch) == ["sent", "sent", "by-hand"])

    assert query(tmp_path / "out", "status", f"select {columns} from record order by row") == before


def test_no_personal_data_is_in_the_log(tmp_path: Path) -> None:
    canary = ("Canarino Perduto", "CNRPDT80A01H501D", None, "7654,32", "canarino@posta.example")
    with up(tmp_path / "home") as here:
        here.mail.post("/faults", json={"kind": "unknown-recipient"}).raise_for_status()
        batch = here.upload(sheet(tmp_path / "rows.xlsx", [canary]))
        wait_for("read", lambda: here.states(batch))
        assert here.states(batch) == ["ready"], here.batch(batch)["problems"]
        here.post(f"/batches/{batch}/generate")
        wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
        here.post(f"/batches/{batch}/send")
        wait_for("refused", lambda: here.states(batch) == ["to-correct"])
        notice_code = here.records(batch)[0]["notice_code"]
        metrics = httpx.get(here.address + "/metrics", timeout=30).text

    log = (tmp_path / "home" / ".staffetta" / "staffetta.log").read_text()
    assert log, "the log is where we look"
    for word in ("Canarino", "Perduto", "CNRPDT", "canarino", "765432", "7654", notice_code, notice_code[1:]):
        assert word not in log
        assert word not in metrics


def _journal(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "inviati" / "giornale.jsonl").read_text().splitlines()]


def _positions(folder: Path) -> list[dict[str, Any]]:
    journal = folder / ".staffetta" / "pagopa" / "pagopa.jsonl"
    return [json.loads(line) for line in journal.read_text().splitlines()]
