"""A real Chromium that reports what a page must never do."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
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
# What a page has beyond its window's width, but for what scrolls inside of a box of its own.
TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"
_REPORT = (
    "document.addEventListener('securitypolicyviolation',"
    " e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"
)


AXE = {
    # It would fetch style sheets again, imported ones from a wrong address.
    "preload": False,
    # Of what passes, axe needn't describe each element.
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
# A colour that is still on its way to another isn't what a reader sees.
_RUN = """([context, options]) => {
    document.getAnimations().forEach(each => each instanceof CSSTransition && each.finish());
    return axe.run(context, options).then(results => results.violations);
}"""
# Opens panels, but for those that would cover others, as menus of filters: it returns how many.
_OPEN = """() => {
    let over = 0;
    document.querySelectorAll("details").forEach(part => {
        const covers = [...part.children].some(
            child => ["absolute", "fixed"].includes(getComputedStyle(child).position)
        );
        part.open = !covers;
        if (covers) part.dataset.menu = over++;
    });
    return over;
}"""


class Visit:
    """A page with its CSP violations, console errors, foreign requests, dialogs and clicks.

    Pages that it opens, as in another tab, are watched too.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.problems: list[str] = []
        self.patterns: list[str] = []
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
        if is_problem and not any(re.search(pattern, text) for pattern in self.patterns):
            self.problems.append(f"{self.page.url}: {text}")

    def expected(self, pattern: str) -> None:
        """Forget the problems that match ``pattern``, before and after: the test makes them."""
        self.patterns.append(pattern)
        self.problems = [text for text in self.problems if not re.search(pattern, text)]

    def click(self, target: Locator) -> None:
        """Click, and count it."""
        self.clicks += 1
        target.click()

    def press(self, key: str) -> None:
        """Press a key that is a command, and count it."""
        self.clicks += 1
        self.page.keyboard.press(key)

    def violations(self, *parts: str) -> list[str]:
        """Return what axe finds on the page, or in ``parts`` of it."""
        before = len(self.problems)
        try:
            return violations(self.page, *parts)
        finally:
            # The checker adds styles to the page, which the policy rightly refuses.
            del self.problems[before:]

    def all_violations(self) -> list[str]:
        """Return what axe finds with all panels open, and in each menu."""
        menus = self.page.evaluate(_OPEN)
        results = self.violations()
        for number in range(menus):
            part = f"[data-menu='{number}']"
            toggle = "(part, open) => { part.open = open; }"
            self.page.locator(part).evaluate(toggle, True)
            results += self.violations(part)
            self.page.locator(part).evaluate(toggle, False)
        return results

    def faults(self, windows: Iterable[tuple[int, bool]], *, panels: bool = False) -> list[str]:
        """Return what axe finds in windows of these widths (True: dark), and what is too wide.

        With ``panels``, they are open.
        """
        results = []
        for width, dark in windows:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme="dark" if dark else "light")
            name = f"{width} {'dark' if dark else 'light'}"
            if self.page.evaluate(TOO_WIDE):
                results.append(f"{name} {self.page.url}: wider than the screen")
            texts = self.all_violations() if panels else self.violations()
            results += [f"{name} {text}" for text in texts]
        return results

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def enter(self, name: str) -> None:
        """Open the dashboard as ``name``, whose session is in this process's database."""
        client = Client()
        client.force_login(User.objects.get(username=name))
        cookie = settings.SESSION_COOKIE_NAME
        self.page.context.add_cookies(
            [{"name": cookie, "value": client.cookies[cookie].value, "url": self.address}]
        )
        self.open("/admin/")

    def login(self, name: str, password: str) -> None:
        """Log in by the form, which takes longer."""
        self.open("/admin/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        # The whole URL: the login page ends in "?next=/admin/".
        self.page.wait_for_url(f"{self.address}/admin/")


def violations(page: Page, *parts: str) -> list[str]:
    """Return what axe finds on ``page``, or in ``parts`` of it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    context = {"include": [[part] for part in parts or ("html",)]}
    return [
        f"{page.url}: {violation['id']} {node['target']} {node['failureSummary']}"
        for violation in page.evaluate(_RUN, [context, AXE])
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
    """Windows of a running browser. Each has cookies of its own."""

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
        """Open a window, as ``name``. ``more`` are options of the browser's context."""
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
            visit.enter(name)
        return visit


class Shared:
    """One browser for all tests of a process: to start one takes longer than most of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def browser(self) -> Browser:
        """Return the browser; start one if none runs."""
        if self._playwright is None:
            # Its loop runs in this thread from now on, and tests use the database.
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
            self._playwright = self._stack.enter_context(sync_playwright())
        if self._browser is None or not self._browser.is_connected():
            self._browser = self._playwright.chromium.launch(
                executable_path=_chromium(self._playwright), args=FLAGS
            )
        return self._browser

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()
        self._stack.close()
        self._playwright = self._browser = None


shared = Shared()


@contextmanager
def chromium(address: str) -> Iterator[Chromium]:
    """Open windows of the shared browser; fail if a page had a problem."""
    running = Chromium(shared.browser(), address)
    try:
        yield running
    finally:
        for visit in running.visits:
            visit.page.context.close()
    problems = [problem for visit in running.visits for problem in visit.problems]
    assert not problems, "\n".join(problems)


@contextmanager
def visit(
    address: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
) -> Iterator[Visit]:
    """Open ``address`` in a browser; fail if a page had a problem."""
    with chromium(address) as running:
        yield running.visit(width=width, dark=dark, scripts=scripts)
