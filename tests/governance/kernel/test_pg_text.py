"""Whatever text comes from outside, PostgreSQL can store it."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection

from governance import audit
from governance.audit import verify
from governance.audit.actions import Action
from governance.kernel import pg_text
from governance.models import AuditTrailEntry

FOREIGN_TEXT = "a\x00b\ud800c\U0001f600\\u0000"
CLEAN = "a\ufffdb?c\U0001f600\\u0000"


def test_nul_and_lone_surrogates_are_replaced() -> None:
    assert pg_text.clean(FOREIGN_TEXT) == CLEAN


@pytest.mark.django_db
def test_json_is_cleaned_at_any_depth_and_in_names() -> None:
    text = pg_text.dumps({FOREIGN_TEXT: [1, None, {"deep": (FOREIGN_TEXT,)}]})
    assert json.loads(text) == {CLEAN: [1, None, {"deep": [CLEAN]}]}
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb #>> '{}'", [text])
        assert cursor.fetchone() is not None


@pytest.mark.parametrize("value", [2**64, -(2**70), 0.1, -0.0, 1e300, "\U0001f600", "\\u0000", {}])
def test_json_keeps_what_json_can_hold(value: object) -> None:
    assert json.loads(pg_text.dumps([value, "\x00"])) == [value, "\ufffd"]
    assert json.loads(pg_text.dumps([value])) == [value]


@pytest.mark.parametrize("text", ["[]", "\x00"])
def test_an_id_becomes_its_text(text: str) -> None:
    id_ = uuid.UUID("01a22a55-602b-7302-b2a3-651b828a31f2")
    assert json.loads(pg_text.dumps([text, id_]))[1] == str(id_)


@pytest.mark.parametrize("text", ["[]", "\x00"])
def test_what_json_has_no_word_for_becomes_null(text: str) -> None:
    value = [text, float("nan"), float("inf")]
    assert json.loads(pg_text.dumps(value))[1:] == [None, None]


@dataclasses.dataclass
class Thing:
    name: str


@pytest.mark.parametrize("text", ["[]", "\x00"])
@pytest.mark.parametrize("value", [datetime.now(UTC), datetime.now(UTC).date(), Thing("x")])
def test_a_time_or_an_object_is_refused_whatever_is_beside_it(text: str, value: object) -> None:
    with pytest.raises(TypeError):
        pg_text.dumps([text, value])


@pytest.mark.django_db
def test_an_audit_entry_of_foreign_text_is_stored_and_its_hash_holds() -> None:
    with audit.transaction():
        audit.record(
            Action.CYCLE_CANCELLED,
            actor="ann",
            before={FOREIGN_TEXT: FOREIGN_TEXT},
            reason=FOREIGN_TEXT,
        )
    entry = AuditTrailEntry.objects.latest("id")
    assert (entry.before, entry.reason) == ({CLEAN: CLEAN}, CLEAN)
    assert verify.walk()[0] == entry.pk
