"""A real Chromium that reports what a page must never do."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Locator, Page, Playwright, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "a-long-password-1"  # of the users of tests
_REPORT = (
    "document.addEventListener('securitypolicyviolation',"
    " e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"
)


AXE = {
    # It would fetch style sheets again, imported ones from a wrong address.
    "preload": False,
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}


class Visit:
    """A page with its CSP violations, console errors, foreign requests, dialogs and clicks.

    Pages that it opens, as in another tab, are watched too.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.problems: list[str] = []
        self.clicks = 0
        context = page.context
        context.add_init_script(_REPORT)
        context.on(
            "console",
            lambda message: self._note(message.type == "error", f"console: {message.text}"),
        )
        context.on("weberror", lambda error: self._note(True, f"error: {error.error}"))
        context.on("dialog", self._refuse)
        context.on(
            "request",
            lambda request: self._note(
                not request.url.startswith((address, "data:")), f"other host: {request.url}"
            ),
        )

    def _refuse(self, dialog: Dialog) -> None:
        self._note(True, f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(f"{self.page.url}: {text}")

    def expected(self, pattern: str) -> None:
        """Forget the problems that match ``pattern``: the test made them."""
        self.problems = [text for text in self.problems if not re.search(pattern, text)]

    def click(self, target: Locator) -> None:
        """Click, and count it."""
        self.clicks += 1
        target.click()

    def press(self, key: str) -> None:
        """Press a key that is a command, and count it."""
        self.clicks += 1
        self.page.keyboard.press(key)

    def violations(self) -> list[str]:
        """Return what axe finds on the page."""
        before = len(self.problems)
        try:
            return violations(self.page)
        finally:
            # The checker adds styles to the page, which the policy rightly refuses.
            del self.problems[before:]

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def login(self, name: str, password: str) -> None:
        self.open("/admin/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        # The whole URL: the login page ends in "?next=/admin/".
        self.page.wait_for_url(f"{self.address}/admin/")


def violations(page: Page) -> list[str]:
    """Return what axe finds on ``page``."""
    return [
        f"{page.url}: {violation['id']} {node['target']} {node['failureSummary']}"
        for violation in Axe().run(page, options=AXE).response["violations"]
        for node in violation["nodes"]
    ]


def _chromium(playwright: Playwright) -> str:
    for name in (os.environ.get("ORBIT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        path = name and shutil.which(name)
        if path:
            return path
    bundled = playwright.chromium.executable_path
    if not Path(bundled).exists():
        pytest.fail(
            "Chromium is not installed. Run `apt-get install -y --no-install-recommends chromium`,"
            " or set ORBIT_CHROMIUM to its path."
        )
    return bundled


class Chromium:
    """A running browser. Each of its visits has cookies of its own."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser, self._address = browser, address
        self.visits: list[Visit] = []

    def visit(
        self,
        name: str = "",
        *,
        width: int = 1280,
        dark: bool = False,
        scripts: bool = True,
        **more: Any,
    ) -> Visit:
        """Open a window, and log in as ``name``. ``more`` are options of the browser's context."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            ignore_https_errors=True,  # certificates of tests
            **more,
        )
        context.set_default_timeout(60_000)
        visit = Visit(context.new_page(), self._address)
        self.visits.append(visit)
        if name:
            visit.login(name, PASSWORD)
        return visit


@contextmanager
def chromium(address: str) -> Iterator[Chromium]:
    """Run a browser; fail if a page had a problem."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(playwright), args=FLAGS)
        running = Chromium(browser, address)
        yield running
        browser.close()
    problems = [problem for visit in running.visits for problem in visit.problems]
    assert not problems, "\n".join(problems)


@contextmanager
def visit(
    address: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
) -> Iterator[Visit]:
    """Open ``address`` in a browser; fail if a page had a problem."""
    with chromium(address) as running:
        yield running.visit(width=width, dark=dark, scripts=scripts)
