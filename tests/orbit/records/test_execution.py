"""Text from outside can't make a record unwritable."""

import pytest

from orbit.cycles import finish, lease
from orbit.models import CycleRun
from orbit.records import execution
from orbit.records.execution import Record
from tests.support.pipeline import configure_profiles, rows, start_cycle

pytestmark = pytest.mark.django_db
# PostgreSQL's text has no NUL, UTF-8 no lone surrogates.
FOREIGN_TEXT = "a\x00b\ud800c"


def test_a_message_is_saved_without_nul_and_lone_surrogates() -> None:
    execution.write(Record("cycle", "odd", FOREIGN_TEXT), namespace=None)
    assert rows("SELECT message FROM orbit_executionrecord") == [("a\ufffdb?c",)]


def test_a_message_is_cut_at_2000_characters() -> None:
    execution.write(Record("cycle", "odd", "x" * 5000), namespace=None)
    assert rows("SELECT length(message) FROM orbit_executionrecord") == [(2000,)]


def test_a_message_with_nul_does_not_keep_a_cycle_from_ending() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    (claimed_cycle,) = lease.claim(1)
    finish.give_up(claimed_cycle, reason=FOREIGN_TEXT, message=f"ValueError: {FOREIGN_TEXT}")
    assert CycleRun.objects.get(pk=cycle_id).status == "failed"
    assert rows("SELECT message FROM orbit_executionrecord WHERE event = 'given_up'") == [
        ("ValueError: a\ufffdb?c",)
    ]
