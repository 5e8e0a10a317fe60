"""`staffetta run`, from the spreadsheet to the outcome, by its exit code and what it leaves on disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.audit import query, text_of
from tests.e2e.run_hand import HEADINGS, PEOPLE, counted, due, esito, run, sheet, staffetta

LETTER_HEADINGS = (
    "Intestazione",
    "CodiceFiscale",
    "PartitaIva",
    "Importo",
    "IndirizzoPec",
    "Alunno",
    "Plesso",
    "Tratta",
)


def test_a_row_without_an_address_gets_its_notice_and_is_handed_over_by_hand(tmp_path: Path) -> None:
    code, said = run(sheet(tmp_path / "rows.xlsx"), "--register", "--subject", "Avviso di pagamento", folder=tmp_path)

    assert code == 0, said
    rows = esito(tmp_path / "out")
    assert [row["Esito"] for row in rows.values()] == ["Inviato", "Inviato", "Da consegnare a mano"]
    assert [row["Numero protocollo"] for row in rows.values()] == ["0000001", "0000002", "0000003"]
    assert {len(row["Codice avviso"]) for row in rows.values()} == {18}
    assert all((tmp_path / "out" / row["Avviso"]).is_file() for row in rows.values())
    assert counted(tmp_path / "out") == {"positions": 3, "registrations": 3, "messages": 2}


def test_nothing_is_sent_unasked_and_the_same_command_goes_on(tmp_path: Path) -> None:
    file = sheet(tmp_path / "rows.xlsx", [(*row, "Emma", "Rodari", "Linea 1") for row in PEOPLE], LETTER_HEADINGS)

    code, said = run(file, "--letter", "scuolabus", folder=tmp_path, until="preview")
    assert code == 0, said
    letters = sorted((tmp_path / "out" / "lettere").iterdir())
    assert len(letters) == 3
    assert "FAC-SIMILE" in text_of(letters[0].read_bytes())
    notices = sorted((tmp_path / "out" / "avvisi").iterdir())
    assert [name.name for name in notices] == [name.name for name in letters]
    assert all("XXXX XXXX XXXX XXXX XX" in text_of(notice.read_bytes()) for notice in notices)
    assert [row["Esito"] for row in esito(tmp_path / "out").values()] == ["Pronto"] * 3
    assert counted(tmp_path / "out") == {"positions": 0, "registrations": 0, "messages": 0}

    code, said = run(file, "--letter", "scuolabus", folder=tmp_path, until="generate")
    assert code == 0, said
    generated = esito(tmp_path / "out")
    assert [row["Esito"] for row in generated.values()] == ["Avviso generato"] * 2 + ["Da consegnare a mano"]
    assert counted(tmp_path / "out") == {"positions": 3, "registrations": 0, "messages": 0}

    for _ in range(2):
        code, said = run(file, "--letter", "scuolabus", folder=tmp_path)
        assert code == 0, said
        assert counted(tmp_path / "out") == {"positions": 3, "registrations": 0, "messages": 2}
        assert [row["IUV"] for row in esito(tmp_path / "out").values()] == [row["IUV"] for row in generated.values()]


def test_what_was_previewed_is_printed_and_one_pdf_is_registered_and_sent(tmp_path: Path) -> None:
    examples = Path(__file__).resolve().parents[2] / "deploy" / "examples"
    shutil.copytree(examples, tmp_path / "examples")
    file = sheet(tmp_path / "rows.xlsx", [(*PEOPLE[0], "Emma", "Rodari", "Linea 1")], LETTER_HEADINGS)
    page = tmp_path / "examples" / "letters" / "scuolabus" / "letter.html"

    def staffetta_run(until: str) -> None:
        code, said = staffetta(
            "run", file, "--creditor", "c_x999", "--channel", "email", "--payment-type", "scuolabus", "--due-date",
            due().isoformat(), "--letter", "scuolabus", "--merged", "--register", "--until", until, "--out", "out",
            folder=tmp_path, environment={"STAFFETTA_CREDITORS": str(tmp_path / "examples" / "creditors.toml")},
        )  # fmt: skip
        assert code == 0, said

    staffetta_run("preview")
    page.write_text(page.read_text("utf-8").replace("Cordiali saluti", "Distinti saluti"), "utf-8")
    staffetta_run("send")

    printed = (tmp_path / "out" / "avvisi" / "riga-00002.pdf").read_bytes()
    assert text_of(printed).index("Cordiali saluti") < text_of(printed).index("AVVISO DI PAGAMENTO")
    (message,) = (tmp_path / "out" / "inviati").glob("*.eml")
    attached = [part.get_content() for part in message_from_bytes(message.read_bytes(), policy=SMTP).iter_attachments()]
    assert attached == [printed]
    (registered,) = query(tmp_path / "out", "protocol", "select documents from register_entry")
    assert json.loads(registered["documents"]) == {"notice": hashlib.sha256(printed).hexdigest()}


def test_a_corrected_file_brings_in_the_rows_that_had_problems_and_nothing_else(tmp_path: Path) -> None:
    wrong = ("Neri Paolo", "NRIPLA80A01H501X", None, "1.234", "paolo.neri@posta.example")
    code, said = run(sheet(tmp_path / "rows.xlsx", [*PEOPLE, wrong]), folder=tmp_path)
    assert code == 1, said
    first = esito(tmp_path / "out")
    assert first[5]["Esito"] == "Da correggere"
    assert "CodiceFiscale: Il codice non è corretto" in first[5]["Motivo"]
    assert "Importo" in first[5]["Motivo"]
    assert "ripeti lo stesso comando" in said
    assert "staffetta up" not in said

    right = ("Neri Paolo", "NREPLA80A01H501B", None, "1234,00", "paolo.neri@posta.example")
    code, said = run(sheet(tmp_path / "again.xlsx", [*PEOPLE, right]), folder=tmp_path)

    assert code == 0, said
    second = esito(tmp_path / "out")
    assert second[5]["Esito"] == "Inviato"
    assert [second[row]["IUV"] for row in (2, 3, 4)] == [first[row]["IUV"] for row in (2, 3, 4)]
    assert counted(tmp_path / "out")["messages"] == 3


def test_the_preview_says_which_rows_to_look_at_and_what_to_put_instead(tmp_path: Path) -> None:
    doubtful = ("Neri Paolo", "NREPLA80A01H501B", None, "12,00", "paolo.neri@gmial.com")
    shortened = ("Officina Esempio", None, 1234560587, 12, "officina@posta.example")
    code, said = run(sheet(tmp_path / "rows.xlsx", [*PEOPLE, doubtful, shortened]), folder=tmp_path, until="preview")

    assert code == 1, said
    rows = esito(tmp_path / "out")
    assert rows[5]["Motivo"].startswith("Da guardare: IndirizzoPec: Il dominio dell'indirizzo sembra scritto male")
    assert rows[5]["Esito"] == "Pronto"
    assert rows[6]["Motivo"].endswith("Proposta: 01234560587.")
    assert "EsitoInvioMassivo.xlsx\n" in said, "nothing else was made"


def test_a_heading_that_looks_like_markup_is_told_as_it_is(tmp_path: Path) -> None:
    file = sheet(tmp_path / "[bold]rows.xlsx", [(*row, "x") for row in PEOPLE], (*HEADINGS, "Note [/] [red]"))

    code, said = run(file, folder=tmp_path, out="[out]", until="preview")

    assert code == 0, said
    assert "Colonne ignorate: Note [/] [red]." in said
    assert "[bold]rows.xlsx: 3 righe" in said


def test_a_file_that_changes_moves_or_drops_an_issued_row_does_not_come_in(tmp_path: Path) -> None:
    run(sheet(tmp_path / "rows.xlsx"), folder=tmp_path, until="generate")
    before = counted(tmp_path / "out")
    changed = [PEOPLE[1], ("Rossi Maria", "RSSMRA85T50H501S", None, 99, "maria.rossi@posta.example")]

    code, said = run(sheet(tmp_path / "again.xlsx", changed), folder=tmp_path, until="generate")

    assert code == 2
    assert "(row-changed)" in said
    assert "(row-moved)" in said
    assert "(row-missing)" in said
    assert "staffetta up out" in said
    assert counted(tmp_path / "out") == before


def test_other_options_on_the_same_folder_are_refused(tmp_path: Path) -> None:
    file = sheet(tmp_path / "rows.xlsx")
    run(file, folder=tmp_path, until="preview")

    code, said = run(file, "--register", "--subject", "Altro", folder=tmp_path, until="preview")

    assert code == 2
    assert "options-differ" in said


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--creditor", "c_z000"), "unknown-creditor"),
        (("--payment-type", "mensa"), "unknown-payment-type"),
        (("--letter", "nido"), "unknown-letter"),
        (("--due-date", "2020-01-01"), "due-date-past"),
    ],
)
def test_wrong_options_are_told_by_their_code(tmp_path: Path, options: tuple[str, str], code: str) -> None:
    exit_code, said = run(sheet(tmp_path / "rows.xlsx"), *options, folder=tmp_path, until="preview")

    assert exit_code == 2
    assert code in said


def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    hidden = tmp_path / "out" / ".staffetta"
    hidden.mkdir(parents=True)
    with (hidden / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = run(sheet(tmp_path / "rows.xlsx"), folder=tmp_path)

    assert code == 2
    assert "in uso da un altro processo" in said


def test_the_empty_format_can_be_written_and_has_no_row_to_send(tmp_path: Path) -> None:
    assert staffetta("tracciato", "vuoto.xlsx", folder=tmp_path)[0] == 0
    assert staffetta("tracciato", "vuoto.xlsx", folder=tmp_path)[0] == 2, "an existing file stays"

    code, said = run(tmp_path / "vuoto.xlsx", folder=tmp_path, until="preview")

    assert code == 2
    assert "no-rows" in said


def test_unreadable_input_and_wrong_use_exit_with_two(tmp_path: Path) -> None:
    assert run(tmp_path / "missing.xlsx", folder=tmp_path)[0] == 2
    (tmp_path / "text.xlsx").write_text("non sono un foglio")
    code, said = run(tmp_path / "text.xlsx", folder=tmp_path)
    assert code == 2
    assert "not-an-xlsx" in said
    assert staffetta("run", "x.xlsx", "--channel", "piccione", folder=tmp_path)[0] == 2
    code, said = run(sheet(tmp_path / "rows.xlsx"), folder=tmp_path, out="text.xlsx/out")
    assert code == 2
    assert "non si può scrivere" in said
    assert "Traceback" not in said


def test_a_real_creditor_needs_a_lasting_folder_and_a_declared_register(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "deploy" / "examples" / "creditors.toml"
    (tmp_path / "creditors.toml").write_text(example.read_text().replace("rehearsal = true", "rehearsal = false"))

    code, said = staffetta(
        "run", sheet(tmp_path / "rows.xlsx"), "--creditor", "c_x999", "--channel", "email", "--payment-type", "scuolabus",
        "--due-date", "2030-01-01", "--out", "out", folder=tmp_path,
        environment={"STAFFETTA_CREDITORS": str(tmp_path / "creditors.toml")},
    )  # fmt: skip

    assert code == 2
    assert "creditors.c_x999" in said


def test_a_letter_that_reads_a_file_is_told_in_the_preview(tmp_path: Path) -> None:
    examples = Path(__file__).resolve().parents[2] / "deploy" / "examples"
    shutil.copytree(examples, tmp_path / "examples")
    (tmp_path / "examples" / "letters" / "scuolabus" / "letter.html").write_text(
        '<p><img src="file:///etc/passwd"></p>'
    )

    file = sheet(tmp_path / "rows.xlsx", [(*row, "Emma", "Rodari", "Linea 1") for row in PEOPLE], LETTER_HEADINGS)

    code, said = staffetta(
        "run", file, "--creditor", "c_x999", "--channel", "email", "--payment-type", "scuolabus", "--due-date", due().isoformat(), "--letter", "scuolabus", "--until", "preview", "--out", "out",
        folder=tmp_path, environment={"STAFFETTA_CREDITORS": str(tmp_path / "examples" / "creditors.toml")},
    )  # fmt: skip

    assert code == 1, said
    assert "Documenti che non si possono fare: 3" in said
    assert "cerca di leggere file" in esito(tmp_path / "out")[2]["Motivo"]
    assert not (tmp_path / "out" / "lettere").exists()
