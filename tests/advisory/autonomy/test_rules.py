"""What the database refuses of autonomy's actions, from every role."""

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from advisory.models import AutonomyAction
from governance.kernel import clock
from governance.kernel.constraints import violated
from governance.kernel.identifiers import uuid7
from tests.support import advisory_signals

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "values",
    [
        {"policy": "another"},
        {"number": 9},
        {"reason": "another"},
        {"reverted_by": "con"},
        {"reverted_by": "con", "reverted_revision": 3},
    ],
)
def test_an_action_stays_as_it_was(values: dict[str, Any]) -> None:
    advisory_signals.action("daily", "eu")
    with pytest.raises(IntegrityError) as refused:
        AutonomyAction.objects.update(**values)
    assert violated(refused.value) == "autonomy_reverted_once"


def test_an_action_is_reverted_once() -> None:
    advisory_signals.action("daily", "eu")
    reverted = {"reverted_at": clock.now(), "reverted_by": "con", "reverted_revision": 3}
    assert AutonomyAction.objects.update(**reverted) == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        AutonomyAction.objects.update(reverted_by="eve")
    assert AutonomyAction.objects.get().reverted_by == "con"


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_an_action_stays_on_record(statement: str) -> None:
    advisory_signals.action("daily", "eu")
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(statement.format(AutonomyAction._meta.db_table))


def test_a_signal_leads_to_one_action_on_a_document() -> None:
    action = advisory_signals.action("daily", "eu")
    action.pk, action.number = uuid7(), 2
    with pytest.raises(IntegrityError) as refused:
        action.save(force_insert=True)
    assert violated(refused.value) == "autonomy_acts_once"
