"""The creditors' file: what is read, and what a wrong file is told."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from shared.contracts.base import Channel
from shared.creditors import (
    CreditorsError,
    SecretMissing,
    is_loopback,
    load_creditors,
    resolve_secret,
)
from shared.creditors.load import REHEARSAL_FILE

GOOD = REHEARSAL_FILE.read_text(encoding="utf-8")
C = "creditors.c_x999"


def written(folder: Path, text: str) -> Path:
    """`text` as a creditors' file next to the rehearsal's own logo and letters."""
    shutil.copytree(REHEARSAL_FILE.parent / "letters", folder / "letters", dirs_exist_ok=True)
    shutil.copy(REHEARSAL_FILE.parent / "logo.svg", folder)
    path = folder / "enti.toml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(*changes: tuple[str, str]) -> str:
    """The rehearsal file with each first string replaced, wherever it stands, by the second."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


REAL = changed(
    ("rehearsal = true", "rehearsal = false"),
    ("http://127.0.0.1:8701", "https://api.platform.pagopa.it"),
    ('host = "127.0.0.1"', 'host = "smtp.provider.example"'),
    ('security = "plain"', 'security = "tls"'),
    ("rehearsal:chiave-del-simulatore", "env:PROVA_CHIAVE"),
    ("rehearsal:password-del-simulatore", "env:PROVA_PASSWORD"),
)
SECOND = "#" + GOOD.split("\n# --- Client", maxsplit=1)[0].split("# --- L'ente", maxsplit=1)[1].replace(
    "c_x999", "c_y998"
)


def test_the_rehearsal_file_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAFFETTA_CREDITORS", raising=False)
    file = load_creditors()
    creditor = file.creditors["c_x999"]
    letter = creditor.payment_types["scuolabus"].letters["scuolabus"]
    pec = creditor.mailbox(Channel.PEC)
    assert file.rehearsal
    assert creditor.logo is not None
    assert creditor.logo.is_absolute()
    assert letter.template.is_dir()
    assert letter.columns == ["Alunno", "Plesso", "Tratta"]
    assert pec is not None
    assert resolve_secret(pec.password) == "password-del-simulatore"


def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = written(tmp_path, changed(("Comune di Borgo Esempio", "Comune di Altrove")))
    monkeypatch.setenv("STAFFETTA_CREDITORS", str(path))
    assert load_creditors().creditors["c_x999"].name == "Comune di Altrove"
    assert load_creditors().creditors["c_x999"].logo == tmp_path / "logo.svg"


def test_simulators_replace_every_leg_and_leave_the_original_as_it_was() -> None:
    file = load_creditors()
    wired = file.with_simulators("http://127.0.0.1:4001/gpd", 4002).creditors["c_x999"]
    assert wired.pagopa.base_url == "http://127.0.0.1:4001/gpd"
    assert {(box.host, box.port, box.security) for box in wired.mailboxes.values()} == {("127.0.0.1", 4002, "plain")}
    assert file.creditors["c_x999"].pagopa.base_url != wired.pagopa.base_url


def test_a_real_file_is_read_and_never_wired_to_simulators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROVA_CHIAVE", "k")
    monkeypatch.setenv("PROVA_PASSWORD", "p")
    file = load_creditors(written(tmp_path, REAL))
    with pytest.raises(ValueError, match="rehearsal"):
        file.with_simulators("http://127.0.0.1:4001/gpd", 4002)


def test_a_service_that_runs_alone_needs_its_own_secrets_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROVA_PASSWORD", "p")
    path = written(tmp_path, REAL)
    assert load_creditors(path, secrets={"mailboxes"}).creditors
    with pytest.raises(CreditorsError) as caught:
        load_creditors(path, secrets={"pagopa"})
    assert caught.value.mistakes == [(f"{C}.pagopa.key", "la variabile d'ambiente PROVA_CHIAVE manca o è vuota")]


IBAN = 'iban = "IT87D9999999999000000123456"'
WRONG_FORMS = [
    (IBAN, 'iban = "IT88D9999999999000000123456"', f"{C}.payment_types.scuolabus.iban", "cifre di controllo dell'IBAN"),
    (IBAN, 'iban = "DE89370400440532013000"', f"{C}.payment_types.scuolabus.iban", "27 caratteri"),
    (IBAN, "", f"{C}.payment_types.scuolabus.iban", "manca: è obbligatorio"),
    (IBAN, IBAN + '\nibam = "x"', f"{C}.payment_types.scuolabus.ibam", "chiave sconosciuta: forse iban?"),
    ('"9/0107102SP/"', '"9/0107102SP"', f"{C}.payment_types.scuolabus.taxonomy", "9/0107102SP/"),
    ('"99999000997"', '"99999000998"', f"{C}.tax_code", "cifra di controllo"),
    ('"99999000997"', '"٩٩٩٩٩٠٠٠٩٩٧"', f"{C}.tax_code", "11 cifre"),
    ('"12" ', '"1" ', f"{C}.segregation_code", "2 cifre"),
    ('"12" ', "12 ", f"{C}.segregation_code", "testo fra virgolette"),
    ('ipa_code = "c_x999"', 'ipa_code = "c x999|"', f"{C}.ipa_code", "codice IPA"),
    ('"BEX99"', '"bex99"', f"{C}.cbill", "5 lettere maiuscole"),
    ('"logo.svg"', '"stemma.png"', f"{C}.logo", "stemma.png non c'è"),
    (
        '"letters/scuolabus"',
        '"lettere"',
        f"{C}.payment_types.scuolabus.letters.scuolabus.template",
        "non c'è",
    ),
    ("port = 8725", "port = 87250", f"{C}.mailboxes.pec.port", "al massimo 65535"),
    ('security = "plain"', 'security = "ssl"', f"{C}.mailboxes.email.security", "'tls', 'starttls' o 'plain'"),
    ('"rehearsal:password-del', '"password-del', f"{C}.mailboxes.pec.password", "mai il segreto stesso"),
    ("mailboxes.email]", "mailboxes.posta]", f"{C}.mailboxes.posta", "valori ammessi"),
    ("asilo-nido]", "Asilo]", f"{C}.payment_types.Asilo", "lettere minuscole"),
    ("asilo-nido]", '"asilo nido"]', f'{C}.payment_types."asilo nido"', "lettere minuscole"),
    ('code = "PG"', 'code = "PG"\ndeclared_on = "ieri"', f"{C}.protocol.declared_on", "AAAA-MM-GG"),
    ("rehearsal = true", 'rehearsal = "sì"', "rehearsal", "true oppure false"),
    ("iuv_start = 1 ", "iuv_start = 0 ", f"{C}.iuv_start", "almeno 1"),
    ('name = "Asilo nido"', 'name = "Asilo\\nnido"', f"{C}.payment_types.asilo-nido.name", "a capo"),
    ("http://127.0.0.1:8701", "http://u:p@127.0.0.1", f"{C}.pagopa.base_url", "senza credenziali"),
    ('until = "preview"', 'until = "tutto"', "clients.gestionale-scuola.until", "valori ammessi"),
    ('creditors = ["c_x999"]', "creditors = []", "clients.gestionale-scuola.creditors", "non può essere vuoto"),
]


@pytest.mark.parametrize(("old", "new", "key", "sentence"), WRONG_FORMS, ids=lambda text: text[:40])
def test_a_wrong_form_is_told_with_its_key(tmp_path: Path, old: str, new: str, key: str, sentence: str) -> None:
    with pytest.raises(CreditorsError) as caught:
        load_creditors(written(tmp_path, changed((old, new))))
    found = dict(caught.value.mistakes)
    assert sentence in found[key]
    assert f"  {key}: " in str(caught.value)


WRONG_TOGETHER = [
    (changed(("iuv_end = 9999999999999", "iuv_end = 5"), ("iuv_start = 1 ", "iuv_start = 6 ")), f"{C}.iuv_end", "vuoto"),
    (changed(("http://127.0.0.1:8701", "http://gpd.example")), f"{C}.pagopa.base_url", "sistemi veri"),
    (changed(('host = "127.0.0.1"', 'host = "smtp.example"')), f"{C}.mailboxes.pec.host", "sistemi veri"),
    (changed(('host = "127.0.0.1"', 'host = "smtp.example"')), f"{C}.mailboxes.pec.security", "plain è ammesso solo"),
    (REAL.replace("smtp.provider.example", "localhost"), f"{C}.mailboxes.email.host", "simulatore fra sistemi veri"),
    (REAL.replace("https://api.platform", "http://api.platform"), f"{C}.pagopa.base_url", "https://"),
    (REAL.replace("env:PROVA_CHIAVE", "rehearsal:x"), f"{C}.pagopa.key", "ammesso solo con rehearsal = true"),
    (REAL.replace("env:PROVA_CHIAVE", "file:/non/esiste"), f"{C}.pagopa.key", "file del segreto /non/esiste manca"),
    (REAL, f"{C}.mailboxes.pec.password", "PROVA_PASSWORD manca"),
    (changed(('code = "PG"', 'code = "PG"\ndeclared_by_act = "Atto 1"')), f"{C}.protocol", "insieme"),
    (changed(('code = "PG"', 'code = "PG"\ndeclared_on = 2026-01-15')), f"{C}.protocol", "insieme"),
    (
        changed(('code = "PG"', 'code = "PG"\ndeclared_by_act = "Atto 1"\ndeclared_on = 2026-01-15')),
        f"{C}.protocol.declared_by_act",
        "in una prova",
    ),
    (changed(('creditors = ["c_x999"]', 'creditors = ["c_x999", "c_a1"]')), "clients.gestionale-scuola.creditors[1]", "enti"),
    (changed(('["scuolabus", ', '["mensa", ')), "clients.gestionale-scuola.payment_types[0]", "tipologia"),
    (GOOD + SECOND, "creditors.c_y998.iuv_start", "stesso IUV"),
    (GOOD + SECOND.replace('ipa_code = "c_y998"', 'ipa_code = "C_X999"'), "creditors.c_y998.protocol.code", "ogni AOO"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "sentence"), WRONG_TOGETHER, ids=lambda text: text[-40:])
def test_a_contradiction_is_told_with_its_key(tmp_path: Path, text: str, key: str, sentence: str) -> None:
    with pytest.raises(CreditorsError) as caught:
        load_creditors(written(tmp_path, text))
    assert any(found == key and sentence in told for found, told in caught.value.mistakes), caught.value.mistakes


def test_two_creditors_may_split_one_segregation_code(tmp_path: Path) -> None:
    first = changed(("iuv_end = 9999999999999", "iuv_end = 4999"))
    second = SECOND.replace("iuv_start = 1 ", "iuv_start = 5000 ")
    assert set(load_creditors(written(tmp_path, first + second)).creditors) == {"c_x999", "c_y998"}


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = changed((IBAN, 'iban = "x"'), ('"99999000997"', '"1"'), ("[clients.", "[client."))
    with pytest.raises(CreditorsError) as caught:
        load_creditors(written(tmp_path, text))
    assert {key for key, _ in caught.value.mistakes} == {
        f"{C}.payment_types.scuolabus.iban",
        f"{C}.tax_code",
        "client",
    }


def test_no_value_of_a_wrong_file_is_printed(tmp_path: Path) -> None:
    text = changed(('"rehearsal:password-del-simulatore"', '"S3greto"'), ('"rehearsal:chiave-', '"env:S3greto-'))
    with pytest.raises(CreditorsError) as caught:
        load_creditors(written(tmp_path, text))
    assert "S3greto" not in str(caught.value)
    assert "S3greto" not in repr(caught.value)


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CreditorsError, match="riga 2, colonna"):
        load_creditors(written(tmp_path, "rehearsal = true\nname = Comune"))
    with pytest.raises(CreditorsError, match="STAFFETTA_CREDITORS"):
        load_creditors(tmp_path / "manca.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("name = 'Cantù'".encode("latin-1"))
    with pytest.raises(CreditorsError, match="UTF-8"):
        load_creditors(latin)


def test_a_secret_comes_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    file = tmp_path / "segreto"
    file.write_text("pa ss\n", encoding="utf-8")
    assert resolve_secret(f"file:{file}") == "pa ss"
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(SecretMissing, match="vuoto"):
        resolve_secret(f"file:{file}")


def test_a_secret_in_the_place_of_a_reference_is_not_repeated() -> None:
    with pytest.raises(SecretMissing) as caught:
        resolve_secret("S3greto")
    assert not re.search("S3greto", str(caught.value))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "127.1", "localhost", "LOCALHOST.", "a.localhost", "::1", "[::1]", "0.0.0.0",
             "::ffff:127.0.0.1"],
)  # fmt: skip
def test_this_machine_is_known_by_any_of_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "smtp.example", "localhost.example", "::ffff:10.0.0.1", "1.127.0.0"])
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)


POSTAL = f"""
[{C}.postal]
iban = "IT56A0760103200000016302093"
holder = "Comune di Borgo Esempio"
authorisation = "AUT. DB/0001/XXX 12345 DEL 01/02/2026"
"""


def test_a_payment_type_may_speak_otherwise_than_its_creditor_and_do_without_slips(tmp_path: Path) -> None:
    text = changed(("cbill = ", 'languages = ["it", "de"]\ncbill = '))
    text = text.replace("\ntaxonomy = ", '\nlanguages = ["en"]\npostal_slip = false\ntaxonomy = ', 1) + POSTAL
    creditor = load_creditors(written(tmp_path, text)).creditors["c_x999"]
    first, *others = creditor.payment_types
    assert creditor.languages_of(first) == ("en",)
    assert creditor.postal_for(first) is None
    for each in others:
        assert creditor.languages_of(each) == ("it", "de")
        assert creditor.postal_for(each) is creditor.postal
    assert creditor.postal is not None
    assert creditor.postal.account == "000016302093"


@pytest.mark.parametrize(
    ("languages", "told"),
    [('["de", "it"]', "italiano e, dopo"), ('["it", "it"]', "italiano e, dopo"), ('["es"]', "'it'"), ("[]", "vuoto")],
)
def test_languages_that_no_notice_has_are_told(tmp_path: Path, languages: str, told: str) -> None:
    path = written(tmp_path, changed(("cbill = ", f"languages = {languages}\ncbill = ")))
    with pytest.raises(CreditorsError, match=told):
        load_creditors(path)


@pytest.mark.parametrize("iban", ["IT60X0542811101000000123456", "IT57A0760103200000016302093"])
def test_a_slip_names_a_postal_account_or_none(tmp_path: Path, iban: str) -> None:
    path = written(tmp_path, GOOD + POSTAL.replace("IT56A0760103200000016302093", iban))
    with pytest.raises(CreditorsError, match=rf"{C}\.postal\.iban"):
        load_creditors(path)
