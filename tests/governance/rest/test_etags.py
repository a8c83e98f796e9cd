"""An answer that the client has already isn't sent again."""

import pytest
from django.test import Client

from tests.support.callers import api, console, create_user
from tests.support.pipeline import configure_profiles, start_cycle

pytestmark = pytest.mark.django_db


def test_an_unchanged_answer_is_a_304() -> None:
    configure_profiles()
    client = api(create_user())
    first = client.get("/cycles")
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    second = client.get("/cycles", If_None_Match=tag)
    assert (second.status_code, second.content, second.headers["ETag"]) == (304, b"", tag)
    assert second.headers["X-Request-ID"]
    assert "RateLimit" in second.headers
    start_cycle()
    changed = client.get("/cycles", If_None_Match=tag)
    assert (changed.status_code, len(changed.json()["results"])) == (200, 1)
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_a_resources_own_tag_counts(tags: str) -> None:
    configure_profiles()
    client = api(create_user())
    assert client.get("/profiles/p1").headers["ETag"] == '"1"'
    assert client.get("/profiles/p1", If_None_Match=tags).status_code == 304


@pytest.mark.parametrize("tags", ['"2"', "", "1", "nonsense", '"', "W/", '"1'])
def test_another_or_a_malformed_tag_gets_the_whole_answer(tags: str) -> None:
    assert api(create_user()).get("/cycles/recent", If_None_Match=tags).status_code == 200


def test_refusals_writes_and_pages_have_no_tag() -> None:
    configure_profiles()
    client = api(create_user())
    answers = [
        client.get("/cycles/recent?x=1"),
        client.post("/cycles/trigger", {"run_profile_id": "r1"}),
        console(create_user("bo")).get("/admin/"),
    ]
    assert [answer.status_code for answer in answers] == [400, 202, 200]
    assert not [answer for answer in answers if "ETag" in answer.headers]


def test_the_api_document_has_a_tag() -> None:
    tag = Client().get("/api/schema").headers["ETag"]
    assert Client().get("/api/schema", headers={"If-None-Match": tag}).status_code == 304
