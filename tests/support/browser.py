"""A real Chromium that reports what a page may never do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_REPORT = "document.addEventListener('securitypolicyviolation', e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"


class Visit:
    """A page, and what went wrong on it: CSP reports, console errors, requests to anywhere else."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.wrong: list[str] = []
        page.add_init_script(_REPORT)
        page.on(
            "console",
            lambda message: self._note(message.type == "error", f"console: {message.text}"),
        )
        page.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        page.on(
            "request",
            lambda request: self._note(
                not request.url.startswith((address, "data:")), f"outside: {request.url}"
            ),
        )

    def _note(self, wrong: bool, what: str) -> None:
        if wrong:
            self.wrong.append(f"{self.page.url}: {what}")

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def login(self, name: str, password: str) -> None:
        self.open("/admin/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/admin/")


def _chromium(playwright: Playwright) -> str:
    for name in (os.environ.get("ORBIT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        found = name and shutil.which(name)
        if found:
            return found
    own = playwright.chromium.executable_path
    if not Path(own).exists():
        pytest.fail(
            "No Chromium. Run `apt-get install -y --no-install-recommends chromium`, or name one in ORBIT_CHROMIUM."
        )
    return own


@contextmanager
def visit(
    address: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
) -> Iterator[Visit]:
    """Open a browser for ``address``; at the end nothing may have gone wrong on any page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(playwright), args=FLAGS)
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        seen = Visit(context.new_page(), address)
        yield seen
        browser.close()
    assert seen.wrong == []
