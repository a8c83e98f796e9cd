"""The console behind a proxy that ends TLS on another port."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Site
from tests.e2e.test_console import PASSWORD
from tests.support.browser import visit
from tests.support.certificates import Authority
from tests.support.web_proxy import web_proxy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_namespace_is_halted_through_it_and_a_lost_port_is_named(
    site: Site, tmp_path: Path
) -> None:
    tls = Authority(tmp_path).server("localhost")
    parts = urlsplit(site.address)
    upstream = (str(parts.hostname), int(parts.port or 0))
    good = {"Host": "{http_host}", "X-Forwarded-Proto": "HTTPS, https"}
    with web_proxy(upstream, tls, good) as port, visit(f"https://localhost:{port}") as console:
        console.login("ann", PASSWORD)
        page = console.open("/admin/halt/?namespace=eu")
        page.get_by_role("textbox", name="Reason").fill("a flood")
        page.get_by_role("button", name="Halt namespace").click()
        expect(page.get_by_role("status").filter(has_text="eu is halted")).to_contain_text("ann")
    losing = {"Host": "{host}", "X-Forwarded-Proto": "https"}
    with web_proxy(upstream, tls, losing) as port, visit(f"https://localhost:{port}") as console:
        page = console.open("/admin/")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("main")).to_contain_text(
            f"ORBIT_TRUSTED_ORIGINS=https://localhost:{port}"
        )
        console.problems.clear()  # the 403 is one
