"""A batch prints the template that was there when its spreadsheet was read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.render.stage import RenderStage
from shared.contracts.base import Phase
from shared.contracts.facts import CommandRefused
from shared.contracts.record import DocumentRef
from shared.creditors import load_creditors
from shared.creditors.letters import pack, read_folder
from shared.documents import FolderStore
from shared.stage import Done, Permanent
from tests.builders import a_document, a_rendered_record
from tests.ingest_house import IngestHouse
from tests.integration.test_ingest_batches import OPTIONS, ask, people, replaced, request, stored
from tests.unit.test_render_stage import CREDITORS, TODAY, FakePress, work

ROOT = Path(__file__).resolve().parents[2]
WITH_LETTER = OPTIONS.model_copy(update={"letter": "scuolabus", "merged": True})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The template's folder, in a copy of the examples."""
    shutil.copytree(ROOT / "deploy" / "examples", tmp_path / "examples")
    return tmp_path / "examples" / "letters" / "scuolabus"


@pytest.fixture
def house(tmp_path: Path, folder: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path, load_creditors(folder.parents[1] / "creditors.toml"))
    yield house
    house.close()


def children(count: int) -> list[dict[str, object]]:
    return people(count, Alunno="Emma", Plesso="Rodari", Tratta="Linea 1")


def version(house: IngestHouse, row: int = 2) -> DocumentRef:
    template = house.row(row).whole.letter_template
    assert template is not None
    return template


def test_rows_keep_the_template_as_it_was_when_they_were_read(house: IngestHouse, folder: Path, tmp_path: Path) -> None:
    before = pack(read_folder(folder))
    sheet = stored(house, tmp_path, children(1))
    ask(house, request(sheet, options=WITH_LETTER, until=Phase.PREVIEW))
    (folder / "letter.css").write_text("p { color: red }")
    ask(house, request(sheet, options=WITH_LETTER, until=Phase.GENERATE))
    assert house.documents.get(version(house)) == before
    assert house.row().whole.merged


def test_a_corrected_file_is_read_with_the_template_of_now(house: IngestHouse, folder: Path, tmp_path: Path) -> None:
    ask(house, request(stored(house, tmp_path, children(2)), options=WITH_LETTER, until=Phase.PREVIEW))
    before = version(house)
    (folder / "letter.css").write_text("p { color: red }")
    corrected = replaced(children(2), 3, Importo=99)
    ask(house, request(stored(house, tmp_path, corrected), options=WITH_LETTER, until=Phase.PREVIEW))
    assert version(house) != before
    assert house.documents.get(version(house, 3)) == pack(read_folder(folder))


@pytest.mark.parametrize(
    ("manifest", "code"), [('columns = ["Alunno"]', "letter-columns-changed"), ("columns = [", "letter-unreadable")]
)
def test_a_template_that_changed_its_columns_since_the_start_is_told(
    house: IngestHouse, folder: Path, tmp_path: Path, manifest: str, code: str
) -> None:
    (folder / "letter.toml").write_text(manifest)
    last = ask(house, request(stored(house, tmp_path, children(1)), options=WITH_LETTER))[-1]
    assert isinstance(last, CommandRefused)
    assert last.code == code
    assert "modello di lettera" in last.message


def test_render_prints_the_version_that_the_record_names(tmp_path: Path) -> None:
    press, documents = FakePress(), FolderStore(tmp_path)
    stage = RenderStage(press, documents, CREDITORS, lambda: TODAY)
    named = a_rendered_record(letter="tolta-da-allora", letter_template=documents.put(b"archive", "application/zip"))
    lost = a_rendered_record(3, letter="scuolabus", letter_template=a_document(b"gone"))
    printed, parked = stage.act([work(named), work(lost)])
    assert isinstance(printed, Done)
    assert parked == Permanent("letter-template-missing")
    assert [job.template for job in press.asked] == [b"archive"]
