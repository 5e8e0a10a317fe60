"""A browser for the tests of the pages, and what every page must be.

The browser is the system's (`make test` installs Debian's): playwright's own download is never asked for. A machine
without one fails these tests: a skip would be read as "the pages work".
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

PATIENCE_MS = 60_000
NAMES = ("chromium", "google-chrome", "chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
MISSING = (
    "The tests of the pages need a browser of Chromium's kind, and none of {names} runs here. Debian: apt-get install chromium. "
    "Ubuntu, whose package of that name only leads to a snap: install Google Chrome's .deb, or run 'snap install chromium'. "
    "Elsewhere: name one in STAFFETTA_TEST_BROWSER."
)
NO_DRIVER = "playwright's driver does not start. Debian and Ubuntu: apt-get install libatomic1."
LABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(field => ![...field.labels].some(label => label.textContent.trim())).map(field => field.outerHTML)"""
NAMED = """() => [...document.querySelectorAll('a[href], button')]
  .filter(item => !(item.textContent.trim() || item.getAttribute('aria-label'))).map(item => item.outerHTML)"""
# What has the focus is noted as it gets it; `dark` is what does not show that it has it.
WATCH = """() => {
  document.activeElement.blur();
  window.reached = new Set();
  window.dark = [];
  addEventListener('focusin', ({target}) => {
    window.reached.add(target);
    const style = getComputedStyle(target), box = target.getBoundingClientRect();
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    if (!ring || !box.width || !box.height) window.dark.push(target.outerHTML.slice(0, 200));
  });
}"""
# A group of radio buttons is one stop of the Tab key; what a closed <details> hides is none.
UNREACHED = """() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')]
  .filter(item => item.checkVisibility({visibilityProperty: true}) && !item.disabled && item.type !== 'radio')
  .filter(item => !window.reached.has(item)).map(item => item.outerHTML.slice(0, 200))"""
RADIO_GROUPS = 5


@cache
def found_browser() -> str:
    """The path of a browser that starts: Ubuntu's `chromium-browser` may be there and only say what it is not."""
    for name in filter(None, (os.environ.get("STAFFETTA_TEST_BROWSER"), *NAMES)):
        path = shutil.which(name)
        if path and not subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode:
            return path
    raise AssertionError(MISSING.format(names=", ".join(NAMES)))


@contextmanager
def started_browser() -> Iterator[Browser]:
    """A browser, closed at the end."""
    path = found_browser()
    try:
        playwright = sync_playwright().start()
    except Exception as error:
        raise AssertionError(NO_DRIVER) from error
    try:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
    finally:
        playwright.stop()


@contextmanager
def opened_page(browser: Browser, address: str, *, scripts: bool = True) -> Iterator[Page]:
    """A page in a session of its own. At the end: no error on its console, and nothing was loaded from elsewhere."""
    errors: list[str] = []
    foreign: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(f"{message.text} ({message.location['url']})")

    def on_request(request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https") and not request.url.startswith(address + "/"):
            foreign.append(request.url)

    context = browser.new_context(base_url=address, locale="it-IT", java_script_enabled=scripts)
    context.set_default_timeout(PATIENCE_MS)
    context.on("console", on_console)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", on_request)
    try:
        yield context.new_page()
    finally:
        context.close()
    assert not errors, errors
    assert not foreign, foreign


def check_page(page: Page) -> None:
    """What every page is: in Italian, under one heading, each field with its label, each link and button with a name."""
    expect(page.locator("html")).to_have_attribute("lang", "it")
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator("main")).to_have_count(1)
    assert page.evaluate(LABELLED) == [], page.url
    assert page.evaluate(NAMED) == [], page.url


def check_keyboard(page: Page) -> None:
    """The Tab key reaches everything that can be used, and each stop shows that it has the focus."""
    page.evaluate(WATCH)
    for _ in range(len(page.evaluate(UNREACHED)) + RADIO_GROUPS):
        page.keyboard.press("Tab")
    assert page.evaluate(UNREACHED) == [], page.url
    assert page.evaluate("window.dark") == [], page.url
