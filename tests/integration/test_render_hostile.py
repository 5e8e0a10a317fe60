"""Letter templates that misbehave get a clear refusal, and the service lives on. Real WeasyPrint in real worker processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.render.adapters.kit import load_kit
from services.render.adapters.pool import WorkerPool
from services.render.ports import Job, Printed, Unmade
from services.render.settings import RenderSettings
from shared.creditors import load_creditors
from tests.builders import a_letter_archive, a_record

ROOT = Path(__file__).resolve().parents[2]
SECRET = "una riga che nessuna lettera deve contenere"
LOOP = "{% for a in causale %}" * 8 + "{% for a in [] %}{{ a }}{% endfor %}" + "{% endfor %}" * 8
USES = "<g id='u0'><rect width='1' height='1'/></g>" + "".join(
    f"<g id='u{n}'>" + f"<use href='#u{n - 1}'/>" * 10 + "</g>" for n in range(1, 8)
)
VARIABLES = "".join(f"--{b}:" + f"var(--{a})" * 10 + ";" for a, b in zip("abcdefghi", "bcdefghij", strict=True))


class Caught(ThreadingHTTPServer):
    """A server of 127.0.0.1 that should never hear anything."""

    paths: list[str]


class Catch(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Caught)
        self.server.paths.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Caught]:
    server = Caught(("127.0.0.1", 0), Catch)
    server.paths = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("secret") / "segreto.txt"
    file.write_text(SECRET)
    return file.as_uri()


@pytest.fixture(scope="module")
def templates(server: Caught, secret: str) -> dict[str, str]:
    web = f"http://127.0.0.1:{server.server_port}"
    bodies = {
        "good": "",
        "include": "{% include '/etc/hostname' %}",
        "file-image": f'<img src="{secret}">',
        "file-attachment": f'<link rel="attachment" href="{secret}">',
        "file-link": f'<a rel="attachment" href="{secret}">x</a>',
        "file-import": f'<style>@import url("{secret}");</style>',
        "file-object": f'<object data="{secret}"></object>',
        "web-image": f'<img src="{web}/image">',
        "web-font": f'<style>@font-face{{font-family:q;src:url("{web}/font")}}p{{font-family:q}}</style>',
        "web-background": f'<p style="background:url({web}/background)">x',
        "web-svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{web}/svg" width="9" height="9"/></svg>',
        "web-import": f'<style>@import url("{web}/import.css");</style>',
        "web-object": f'<object data="{web}/object"></object>',
        "web-embed": f'<embed src="{web}/embed">',
        "web-list": f'<ul style="list-style-image:url({web}/list)"><li>x</ul>',
        "web-sheet": f'<link rel="stylesheet" href="{web}/sheet.css">',
        "web-attachment": f'<link rel="attachment" href="{web}/attachment">',
        "web-redirect": f'<img src="{web}/redirect">',
        "web-base": f'<base href="{web}/"><img src="base">',
        "web-profile": f'<style>@color-profile --x {{src:url("{web}/icc")}}</style><p style="color:color(--x 0 0 0)">x',
        "cycler": "{{ cycler.__init__.__globals__.os }}",
        "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "format": "{{ '{0.__class__}'.format(causale) }}",
        "undefined": "{{ causale.nulla }}",
        "text-of-10^8": "{{ 'x' * 100000000 }}",
        "text-by-text": "{% for a in causale %}" * 5 + "{{ causale }}" + "{% endfor %}" * 5,
        "endless": LOOP,
        "pages": "<style>@page{size:20mm 20mm;margin:0}</style>" + "<p>x" * 400,
        "nested": "<div>" * 10_000,
        "20000-pages": "<style>@page{size:2mm 2mm;margin:0}</style>" + "<p>x" * 20_000,
        "uses": f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>{USES}<use href='#u7'/></svg>",
        "variables": f"<style>:root{{--a:xxxxxxxxxx;{VARIABLES}}}p::before{{content:var(--j)}}</style><p>x",
        "markup": "{{ '{{ importo }}' }}",
        "hides-the-mark": "<style>*{display:none!important}body,body *{visibility:hidden!important}</style>",
        "swallows-the-mark": "<!-- ",
    }
    return {name: f"<p>{{{{ intestazione }}}}</p>{body}" for name, body in bodies.items()}


@pytest.fixture(scope="module")
def pool(templates: dict[str, str]) -> Iterator[WorkerPool]:
    kit = load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings(cpu_seconds=2, workers=1))
    letters = {("c_x999", "scuolabus", name): a_letter_archive(source) for name, source in templates.items()}
    pool = WorkerPool(replace(kit, letters=letters), 1, 60.0)
    yield pool
    pool.close()


def letter(pool: WorkerPool, name: str) -> object:
    (answer,) = pool.make([Job(a_record(letter=name), date(2026, 11, 24), preview=True, notice=False)])
    return answer


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("include", "letter-template-unsafe"),
        ("file-image", "letter-template-unsafe"),
        ("file-attachment", "letter-template-unsafe"),
        ("file-link", "letter-template-unsafe"),
        ("file-import", "letter-template-unsafe"),
        ("file-object", "letter-template-unsafe"),
        ("web-image", "letter-template-unsafe"),
        ("web-font", "letter-template-unsafe"),
        ("web-background", "letter-template-unsafe"),
        ("web-svg", "letter-template-unsafe"),
        ("web-import", "letter-template-unsafe"),
        ("web-object", "letter-template-unsafe"),
        ("web-embed", "letter-template-unsafe"),
        ("web-list", "letter-template-unsafe"),
        ("web-sheet", "letter-template-unsafe"),
        ("web-attachment", "letter-template-unsafe"),
        ("web-redirect", "letter-template-unsafe"),
        ("web-base", "letter-template-unsafe"),
        ("web-profile", "letter-template-unsafe"),
        ("cycler", "letter-variable-unknown"),
        ("class", "letter-template-unsafe"),
        ("format", "letter-template-unsafe"),
        ("undefined", "letter-template-broken"),
        ("text-of-10^8", "letter-too-large"),
        ("text-by-text", "letter-too-large"),
        ("endless", "letter-too-slow"),
        ("pages", "letter-too-long"),
        ("20000-pages", "letter-too-slow"),
        ("uses", "letter-too-slow"),
        ("variables", "letter-too-slow"),
    ],
)
def test_a_hostile_template_is_refused_and_the_next_letter_is_printed(pool: WorkerPool, name: str, code: str) -> None:
    answer = letter(pool, name)
    assert isinstance(answer, Unmade)
    assert answer.code == code
    assert name in answer.detail
    assert isinstance(letter(pool, "good"), Printed)


def test_no_template_reached_the_network(pool: WorkerPool, server: Caught, templates: dict[str, str]) -> None:
    for name in templates:
        if name.startswith("web-"):
            letter(pool, name)
    assert server.paths == []


def test_what_is_nested_too_deeply_is_refused_whoever_gives_up_first(pool: WorkerPool) -> None:
    answer = letter(pool, "nested")
    assert isinstance(answer, Unmade)
    assert answer.code in ("letter-template-broken", "letter-too-slow", "letter-template-unsafe")
    assert isinstance(letter(pool, "good"), Printed)


def test_an_archive_that_is_none_of_ours_is_refused_in_the_worker(pool: WorkerPool) -> None:
    job = Job(a_record(letter="good"), date(2026, 11, 24), preview=True, template=b"PK no archive", notice=False)
    (answer,) = pool.make([job])
    assert isinstance(answer, Unmade)
    assert answer.code == "letter-template-broken"


@pytest.mark.parametrize("name", ["markup", "hides-the-mark", "swallows-the-mark"])
def test_a_letter_that_shows_markup_or_hides_its_mark_is_not_given_out(pool: WorkerPool, name: str) -> None:
    assert not isinstance(letter(pool, name), Printed)
