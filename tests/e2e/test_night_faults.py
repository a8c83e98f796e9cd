"""S16, S24, S25: who may what, what breaks, what is empty."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from governance.models import AuditTrailEntry
from orbit.models import DeadLetterDispatch
from orbit_site.processes.postgres import Server
from tests.e2e.conftest import NightSite, serve
from tests.support import closed_database, database
from tests.support.browser import PASSWORD, chromium
from tests.support.callers import create_user
from tests.support.configuration import write_profiles

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
ACTIONS = re.compile(
    "^(Halt|Requeue|Dismiss|Approve|Reject|Cancel|Run again|Save|Pause everything)$"
)


def test_s16_a_viewer_has_no_action_anywhere_and_a_confined_user_no_foreign_object(
    night: NightSite,
) -> None:
    ids = night.night
    foreign = [
        f"/admin/orbit/cyclerun/{ids.partial}/change/",
        f"/admin/orbit/deadletterdispatch/{ids.letter}/change/",
        f"/admin/orbit/deadletterdispatch/{ids.letter}/requeue/",
        f"/admin/advisory/strategyproposal/{ids.open_proposal}/change/",
    ]
    with chromium(night.address) as browser:
        viewer, confined = browser.visit("vic"), browser.visit("con")
        for path in (
            "/admin/",
            "/admin/orbit/cyclerun/",
            "/admin/orbit/deadletterdispatch/",
            *foreign,
        ):
            if path.endswith("requeue/"):
                continue
            page = viewer.open(path)
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            assert page.get_by_role("button", name=ACTIONS).all_inner_texts() == [], path
        for path in foreign:
            main = confined.open(path).get_by_role("main")
            expect(main).not_to_contain_text(re.compile("aurora|daily-eu|Retry tier 3"))
        confined.expected("status of 404")
        page = confined.open("/admin/orbit/cyclerun/")
        expect(page.get_by_role("main")).not_to_contain_text("daily-eu")


def test_s16_a_form_sent_by_hand_is_refused(night: NightSite) -> None:
    ids = night.night
    forms = {
        "halt/?namespace=eu": {"namespace": "eu"},
        f"orbit/deadletterdispatch/{ids.letter}/requeue/": {"endpoint": "snapshot"},
        f"orbit/deadletterdispatch/{ids.letter}/dismiss/": {},
        f"orbit/cyclerun/{ids.waiting}/cancel/": {},
        f"advisory/strategyproposal/{ids.open_proposal}/change/": {"decision": "approve"},
        "orbit/cyclerun/trigger/": {"run_profile_id": "daily-eu"},
        "pause/": {},
        "config/drift/": {"reload": "1"},
        "access/tokens/new/": {"owner": "vic", "name": "mine"},
    }
    before = AuditTrailEntry.objects.exclude(action__startswith="login").count()
    with chromium(night.address) as browser:
        # A viewer may do none of it, and an operator of us nothing in eu.
        for name in ("vic", "con"):
            page = browser.visit(name).page
            token = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
            for path, fields in forms.items():
                answer = page.request.post(
                    f"{night.address}/admin/{path}",
                    form={**fields, "reason": "by hand", "csrfmiddlewaretoken": token or ""},
                    headers={"Referer": f"{night.address}/admin/"},
                )
                refused = {403, 404, 405} if name == "vic" else {200, 403, 404, 405}
                assert answer.status in refused, (name, path, answer.status)
    actions = AuditTrailEntry.objects.order_by("id").values_list("action", "actor")[before:]
    assert [
        action for action in actions if action[1] in {"vic", "con"} and _changes(action[0])
    ] == []
    assert DeadLetterDispatch.objects.get(pk=ids.letter).status == "open"


def _changes(action: str) -> bool:
    """Tell whether the action is more than a login, or a refusal."""
    return not action.startswith(("login", "user.log", "access."))


def test_s24_without_a_database_a_page_says_so_with_its_request(
    night: NightSite, server: Server
) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("ann")
        with closed_database.closed(server, night.database):
            page = console.open("/admin/orbit/cyclerun/")
            expect(page.locator("body")).to_contain_text("database")
            expect(page.locator("body")).to_contain_text(re.compile("[Rr]equest [0-9a-f]{32}"))
            console.expected(r"\b503\b")  # of the page, and of what it was still loading
        page = console.open("/admin/orbit/cyclerun/")
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("503")


@pytest.fixture
def empty(server: Server, committed: str, settings: object, tmp_path: object) -> Iterator[str]:
    """Serve a new installation, with one administrator."""
    from django.db import connection

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # type: ignore[attr-defined]
    write_profiles(tmp_path, [], [])  # type: ignore[arg-type]
    create_user("adm", "Administrator")
    connection.close()
    variables = {**database.environment(server, committed), "ORBIT_CONFIG_DIR": str(tmp_path)}
    with serve(variables) as address:
        yield address


def test_s25_a_new_installation_says_what_to_do_first(
    empty: str, record_property: Callable[[str, object], None]
) -> None:
    with chromium(empty) as browser:
        console = browser.visit("adm")
        main = console.page.get_by_role("main")
        for word in ("endpoint", "test delivery", "schedule", "second administrator", "backup"):
            expect(main).to_contain_text(re.compile(word, re.IGNORECASE))
        record_property("job", f"J22  {console.clicks} of 0  First run: what to do")
        assert console.clicks == 0
        for path in ("orbit/cyclerun/", "orbit/deadletterdispatch/", "advisory/strategyproposal/"):
            page = console.open(f"/admin/{path}")
            expect(page.get_by_role("main")).to_contain_text(re.compile("[Nn]o |[Nn]othing"))


def test_s24_a_form_that_is_sent_after_the_session_ended_comes_back_after_the_login(
    night: NightSite,
) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("ann")
        path = f"/admin/orbit/deadletterdispatch/{night.night.letter}/requeue/"
        page = console.open(path)
        page.get_by_role("textbox", name="Reason").fill("typed with care at 03:12")
        page.context.clear_cookies()
        page.get_by_role("main").get_by_role("button", name="Requeue").click()
        console.expected("status of 403")
        expect(page.get_by_role("main")).to_contain_text(re.compile("[Rr]equest [0-9a-f]{32}"))
        console.open(path)
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("textbox", name="Reason")).to_have_value("typed with care at 03:12")


def test_s24_what_one_user_typed_does_not_come_back_to_another(night: NightSite) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("ann")
        path = f"/admin/orbit/deadletterdispatch/{night.night.letter}/requeue/"
        page = console.open(path)
        page.get_by_role("textbox", name="Reason").fill("not for the eyes of adm")
        page.context.clear_cookies()
        page.get_by_role("main").get_by_role("button", name="Requeue").click()
        console.expected("status of 403")
        expect(page.get_by_role("main")).to_contain_text(re.compile("[Rr]equest [0-9a-f]{32}"))
        console.open("/admin/orbit/cyclerun/")
        page.get_by_label("Username").fill("adm")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Cycles")
        assert page.evaluate("sessionStorage.getItem('orbit.draft')") is None
        console.open(path)
        expect(page.get_by_role("textbox", name="Reason")).to_have_value("")
