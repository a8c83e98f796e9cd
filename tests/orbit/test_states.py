"""The state machines: final states, and moves from allowed states only."""

import pytest

from governance.access.actors import SYSTEM
from governance.kernel.machines import IllegalMove
from orbit.cycles import trigger
from orbit.models import CycleRun
from orbit.states import CYCLE, JOB, LETTER, Cycle, Job, Letter, Trigger


def test_no_move_leaves_a_final_state() -> None:
    assert CYCLE.final == {Cycle.SUCCESS, Cycle.PARTIAL_SUCCESS, Cycle.FAILED, Cycle.CANCELLED}
    assert JOB.final == {Job.DELIVERED}
    assert LETTER.final == {Letter.DISMISSED, Letter.DELIVERED_LATE}


def test_a_success_reaches_a_job_from_every_state_that_is_open_or_given_up() -> None:
    assert set(JOB.sources(Job.DELIVERED)) == {Job.PENDING, Job.SENDING, Job.DEAD, Job.CANCELLED}


def test_no_state_moves_to_queued() -> None:
    with pytest.raises(IllegalMove):
        CYCLE.sources(Cycle.QUEUED)


@pytest.mark.django_db
def test_a_move_changes_only_rows_in_one_of_its_sources() -> None:
    started = trigger.start(namespace="default", source=Trigger.CRON, actor=SYSTEM)
    rows = CycleRun.objects.filter(pk=started.cycle_id)
    assert CYCLE.move(rows, Cycle.RUNNING) == 1
    assert CYCLE.move(rows, Cycle.RUNNING) == 0
    assert not CYCLE.allows(Cycle.SUCCESS, Cycle.FAILED)
