"""What isn't there, or not for the reader; and what browsers ask for by themselves."""

import html
import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver, reverse

from governance.console.base import PageAdmin, ReadOnlyAdmin
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle

pytestmark = pytest.mark.django_db


def test_a_row_that_is_not_there_is_a_404_with_a_next_step_in_every_table() -> None:
    get_resolver().url_patterns  # noqa: B018 - loading them registers the tables
    browser = console(create_user("adm", "Administrator"))
    for model, table in admin.site._registry.items():
        if not isinstance(table, ReadOnlyAdmin):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        answer = browser.get(reverse(name, args=["no-such-row"]))
        text = answer.content.decode()
        assert answer.status_code == 404, name
        assert "<h1>" in text, name
        assert "There is nothing here.</p>" not in text, name


def test_every_table_of_pages_has_its_page() -> None:
    get_resolver().url_patterns  # noqa: B018 - loading them registers the tables
    tables = [table for table in admin.site._registry.values() if isinstance(table, PageAdmin)]
    assert len(tables) > 5
    assert all(callable(table.page) for table in tables)


def test_every_link_of_the_dashboard_leads_somewhere() -> None:
    active_cycle()
    browser = console(create_user("adm", "Administrator"))
    text = browser.get("/admin/").content.decode()
    links = {html.unescape(link) for link in re.findall(r'href="(/admin/[^"#]*)"', text)}
    assert len(links) > 20
    assert {link: code for link in links if (code := browser.get(link).status_code) != 200} == {}


def test_commands_in_a_banner_are_code() -> None:
    text = console(create_user("adm", "Administrator")).get("/admin/health/").content.decode()
    assert "Run <code>manage.py cluster</code>" in text
    assert "`" not in text


def test_a_browser_gets_the_icon_that_it_asks_for() -> None:
    answer = Client().get("/favicon.ico")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/x-icon")
