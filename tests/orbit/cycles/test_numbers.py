"""Numbers keep their text on every way through Orbit, or are refused with a pointer."""

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from governance.access.actors import SYSTEM
from orbit.models import NormalizationItem, Profile, Transformation
from orbit.profiles import drift, export, reload
from orbit.profiles.files import ConfigInvalid
from tests.support.callers import api, console, create_user
from tests.support.configuration import profile, store_profiles
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle
from tests.support.receiver import Receiver, http

SENT = (
    b'{"a": 0.12345678901234567890, "i": 12345678901234567890.123, "d": -0, "z": [1e-400, 1E+2,'
    b" 0.10, 1.0, -0.0, " + b"9" * 40 + b'], "s": "\\u0061 \\/ 0.10 ,", "z2": 1 }'
)
KEPT = (
    b'{"a":0.12345678901234567890,"i":12345678901234567890.123,"d":-0,"z":[1e-400,1E+2,'
    b"0.10,1.0,-0.0," + b"9" * 40 + b'],"s":"\\u0061 \\/ 0.10 ,","z2":1}'
)
ODD = ["0.12345678901234567890", "12345678901234567890.123", "1e-400", "1e-99999999999999999999"]


def test_each_tier_delivers_the_text_that_was_sent_and_so_does_a_rerun(
    committed: str, settings: Any
) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    output = b'{ "own" : -0 , "e": 1E+2 }'
    tiers = {
        "2": {"transformer": "template", "options": {"template": "<$payload>"}},
        "3": {"transformer": "http"},
    }
    with Receiver(http("200 OK", output)) as service, Receiver(http("410 Gone")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({**tiers, "3": {**tiers["3"], "options": {"url": service.url}}})
        client = api(create_user())
        body = b'{"run_profile_id": "r1", "payload": ' + SENT + b"}"
        started = client.post("/cycles/trigger", body)
        cycle = run_cycle(UUID(started.json()["cycle_run_id"]))
        assert service.requests[0].body == KEPT
        again = client.post(f"/cycles/{cycle.pk}/rerun", {"reason": "again"})
        run_cycle(UUID(again.json()["cycle_run_id"]))
    expected = sorted([KEPT, b"<" + KEPT + b">", output])
    received = [request.body for request in receiver.requests]
    assert sorted(received[:3]) == sorted(received[3:]) == expected
    assert sorted(bytes(item.payload) for item in NormalizationItem.objects.all()) == expected
    tier = Transformation.objects.filter(cycle=cycle, tier=1).get()
    browser = console(create_user("bea"))
    for page in (
        f"cyclerun/{cycle.pk}/change/?tab=context",
        f"transformation/{tier.pk}/change/",
    ):
        shown = browser.get(f"/admin/orbit/{page}").content.decode()
        assert "0.12345678901234567890" in shown
        assert "1e-400,1E+2,0.10,1.0,-0.0" in shown


@pytest.mark.django_db
def test_an_equal_payload_in_other_white_space_is_the_same_input() -> None:
    client = api(create_user())
    first = client.post("/cycles/trigger", b'{"payload":' + KEPT + b"}").json()
    answer = client.get(f"/cycles/{first['cycle_run_id']}").json()
    other = client.post(
        "/cycles/trigger",
        b'{"payload" : ' + SENT + b' , "namespace":"default"}',
        Idempotency_Key="k",
    )
    assert answer["input"]["sha256"] == hashlib.sha256(KEPT).hexdigest()
    assert other.status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize(
    "number", [*ODD, "99999999999999.99", "9007199254740992", "-9007199254740993", "1" * 40]
)
def test_the_api_refuses_a_document_whose_number_would_change(number: str) -> None:
    body = json.dumps(profile("p1", style_vector={"a/b": [0, "N"]})).replace('"N"', number)
    answer = api(create_user("con", "Configurator")).put(
        "/profiles/p1", body.encode(), If_None_Match="*"
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/style_vector/a~1b/1"]
    assert not Profile.objects.exists()


@pytest.mark.django_db
def test_the_editor_refuses_it_too() -> None:
    store_profiles([profile("p1")], [])
    row = Profile.objects.get()
    address = f"/admin/orbit/profile/{row.pk}/change/"
    browser = console(create_user("con", "Configurator"))
    bound = browser.get(address).context["form"]
    fields = {field.name: field.value() for field in bound if field.value() is not None}
    document = json.dumps(profile("p1", style_vector={"tone": "N"})).replace('"N"', ODD[0])
    sent = {**fields, "document": document, "reason": "x", "_save": "1"}
    answer = browser.post(address, sent)
    assert answer.status_code == 200
    assert "/style_vector/tone: Is a number that a binary float would change" in (
        answer.content.decode()
    )
    assert Profile.objects.get().revision == 1


@pytest.mark.parametrize("number", ODD)
def test_a_file_with_such_a_number_is_refused_at_its_place(
    tmp_path: Path, settings: Any, number: str
) -> None:
    settings.ORBIT_CONFIG_DIR = str(tmp_path)
    text = json.dumps([profile("p1"), profile("p2", style_vector={"tone": "N"})])
    (tmp_path / "profiles.json").write_text(text.replace('"N"', number))
    (tmp_path / "runProfiles.json").write_text("[]")
    with pytest.raises(ConfigInvalid) as exc_info:
        reload.read_checked()
    assert [error["pointer"] for error in exc_info.value.errors] == ["/1/style_vector/tone"]


@pytest.mark.django_db
def test_numbers_that_a_float_keeps_come_back_from_the_database_as_the_same(
    tmp_path: Path, settings: Any
) -> None:
    settings.ORBIT_CONFIG_DIR = str(tmp_path)
    written = "[0.10, 1E+2, 1.0, -0, -0.0, 1e-7, 5e-324, 0.30000000000000004, 9007199254740991]"
    text = json.dumps([profile("p1", style_vector={"n": "N"})])
    (tmp_path / "profiles.json").write_text(text.replace('"N"', written))
    (tmp_path / "runProfiles.json").write_text("[]")
    reload.apply_files(actor=SYSTEM, reason="x")
    assert drift.differences(actor=SYSTEM) == []
    export.export(tmp_path, actor=SYSTEM)
    (exported,) = json.loads((tmp_path / "profiles.json").read_text())
    assert exported["style_vector"]["n"] == json.loads(written)
    assert drift.differences(actor=SYSTEM) == []
